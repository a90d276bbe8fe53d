// An AudioBuffer -> its log-mel spectrogram on a canvas. Levels are absolute: black is 80 dB below full scale.
const spectrogram = (() => {
  const SIZE = 1024, BANDS = 96, COLUMNS = 480, DEPTH = 80;
  const STOPS = [[0, 0, 4], [40, 17, 89], [114, 31, 129], [183, 55, 121], [241, 96, 93], [254, 176, 120], [252, 253, 191]];
  const mel = (hz) => 2595 * Math.log10(1 + hz / 700), hertz = (m) => 700 * (10 ** (m / 2595) - 1);
  const hann = Float32Array.from({ length: SIZE }, (_, i) => 0.5 - 0.5 * Math.cos(2 * Math.PI * i / SIZE));
  const turns = Array.from({ length: SIZE / 2 }, (_, i) => [Math.cos(2 * Math.PI * i / SIZE), -Math.sin(2 * Math.PI * i / SIZE)]);

  function transform(re, im) {
    for (let i = 1, j = 0; i < SIZE; i++) {
      let bit = SIZE >> 1;
      for (; j & bit; bit >>= 1) j ^= bit;
      j ^= bit;
      if (i < j) [re[i], re[j]] = [re[j], re[i]];
    }
    for (let width = 2; width <= SIZE; width *= 2)
      for (let start = 0; start < SIZE; start += width)
        for (let k = 0; k < width / 2; k++) {
          const [c, s] = turns[k * SIZE / width], a = start + k, b = a + width / 2;
          const x = re[b] * c - im[b] * s, y = re[b] * s + im[b] * c;
          re[b] = re[a] - x; im[b] = im[a] - y; re[a] += x; im[a] += y;
        }
  }

  // Triangles even in mel up to `top`, each with the peak 1 and none narrower than a bin.
  function bands(top) {
    const edges = Array.from({ length: BANDS + 2 }, (_, i) => Math.max(hertz(mel(top) * i / (BANDS + 1)), i * RATE / SIZE) * SIZE / RATE);
    return Array.from({ length: BANDS }, (_, b) => {
      const weights = [];
      for (let bin = Math.ceil(edges[b]); bin <= Math.min(SIZE / 2, edges[b + 2]); bin++) {
        const w = Math.min((bin - edges[b]) / (edges[b + 1] - edges[b]), (edges[b + 2] - bin) / (edges[b + 2] - edges[b + 1]));
        if (w > 0) weights.push([bin, w]);
      }
      return weights;
    });
  }

  function colour(level) {
    const at = Math.min(1, Math.max(0, level)) * (STOPS.length - 1), i = Math.min(STOPS.length - 2, Math.floor(at));
    return STOPS[i].map((from, c) => from + (STOPS[i + 1][c] - from) * (at - i));
  }

  function draw(canvas, buffer, top, db) {
    const wav = buffer.getChannelData(0), filters = bands(top), picture = new ImageData(COLUMNS, BANDS);
    canvas.width = COLUMNS;
    canvas.height = BANDS;
    const re = new Float32Array(SIZE), im = new Float32Array(SIZE);
    for (let x = 0; x < COLUMNS; x++) {
      const middle = Math.round((wav.length - 1) * x / (COLUMNS - 1));
      im.fill(0);
      for (let i = 0; i < SIZE; i++) re[i] = (wav[middle + i - SIZE / 2] ?? 0) * hann[i];
      transform(re, im);
      for (let b = 0; b < BANDS; b++) {
        let power = 0;
        for (const [bin, w] of filters[b]) power += w * (re[bin] ** 2 + im[bin] ** 2);
        const level = (10 * Math.log10(power / (SIZE / 4) ** 2 + 1e-12) + db) / DEPTH + 1, at = 4 * ((BANDS - 1 - b) * COLUMNS + x);
        picture.data.set([...colour(level), 255], at);
      }
    }
    canvas.getContext("2d").putImageData(picture, 0, 0);
  }
  return { draw, height: (hz, top) => 1 - mel(hz) / mel(top) };
})();
