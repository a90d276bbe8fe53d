// Sounds that lie in scripts beside the page, and a player that switches between them without losing a sample.
const RATE = 48000;

// A file calls sound(id, base64). Of a page that was opened as a file, nothing else that is beside it can be read.
const sounds = (() => {
  const waiting = new Map(), known = new Map();
  window.sound = (id, data) => { waiting.get(id)?.(data); waiting.delete(id); };

  const read = (id, file) => new Promise((done, failed) => {
    waiting.set(id, done);
    const script = document.createElement("script");
    script.src = file;
    script.onerror = () => { waiting.delete(id); failed(new Error(`${file} is not beside this page`)); };
    script.onload = () => { if (waiting.delete(id)) failed(new Error(`${file} is not the sound ${id}`)); };
    document.head.append(script);
  });

  // Mono, at RATE, of exactly `samples`: so all players of a clip end and loop together.
  async function decode(data, samples) {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const found = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes.buffer);
    const buffer = new AudioBuffer({ length: samples, numberOfChannels: 1, sampleRate: RATE });
    buffer.copyToChannel(found.getChannelData(0).subarray(0, samples), 0);
    return buffer;
  }

  function load({ id, file }, samples) {
    if (!known.has(id)) known.set(id, read(id, file).then((data) => decode(data, samples)).catch((error) => { known.delete(id); throw error; }));
    return known.get(id);
  }
  return { load };
})();

// All tracks run at once, on one clock, and only the active one is heard: what is compared is the same instant.
function player(changed) {
  const FADE = 0.008; // s, from one track to another
  let context = null, tracks = [], active = 0, playing = null, from = 0, length = 0, loop = false, range = null;

  const bounds = () => range ?? [0, length];
  function position() {
    if (!playing) return from;
    const at = from + Math.max(0, context.currentTime - playing.began), [low, high] = bounds();
    return loop && at >= high ? low + ((at - low) % (high - low)) : Math.min(at, length);
  }
  const gain = (i) => i === active ? 10 ** (tracks[i].db / 20) : 0;

  function halt() {
    if (!playing) return;
    for (const { source } of playing.nodes) { source.onended = null; source.stop(); source.disconnect(); }
    playing = null;
  }
  function start() {
    if (!tracks.length) return;
    context ??= new AudioContext({ sampleRate: RATE, latencyHint: "interactive" });
    context.resume();
    const [low, high] = bounds();
    if (loop && (from < low || from >= high)) from = low;
    if (from >= length) from = 0;
    const began = context.currentTime + 0.03;
    const nodes = tracks.map((track, i) => {
      const source = new AudioBufferSourceNode(context, { buffer: track.buffer, loop, loopStart: low, loopEnd: high });
      const level = new GainNode(context, { gain: 0 });
      level.gain.setValueAtTime(0, began);
      level.gain.linearRampToValueAtTime(gain(i), began + FADE);
      source.connect(level).connect(context.destination);
      source.start(began, from);
      return { source, level };
    });
    nodes[0].source.onended = () => { halt(); from = 0; changed(); };
    playing = { nodes, began };
  }
  function again() { if (playing) { from = position(); halt(); start(); } changed(); }
  function levels() {
    if (playing) playing.nodes.forEach(({ level }, i) => {
      const now = context.currentTime;
      level.gain.cancelScheduledValues(now);
      level.gain.setValueAtTime(level.gain.value, now);
      level.gain.linearRampToValueAtTime(gain(i), now + FADE);
    });
    changed();
  }
  return {
    // tracks: [{buffer, db}]; the place, the range and what is heard stay where they can.
    use(several, keep = false) {
      const was = Boolean(playing), at = position();
      halt();
      tracks = several;
      length = tracks.length ? tracks[0].buffer.duration : 0;
      active = Math.min(active, Math.max(0, tracks.length - 1));
      from = keep ? Math.min(at, length) : 0;
      if (!keep) range = null;
      if (was && keep) start();
      changed();
    },
    toggle() { if (playing) { from = position(); halt(); } else start(); changed(); },
    play() { if (!playing) start(); changed(); },
    pause() { if (playing) { from = position(); halt(); } changed(); },
    seek(at) { from = Math.min(Math.max(0, at), length); if (playing) { halt(); start(); } changed(); },
    select(i) { if (i < tracks.length) { active = i; levels(); } },
    setLevels(decibels) { tracks.forEach((track, i) => { track.db = decibels[i]; }); levels(); },
    setLoop(on) { loop = on; again(); },
    setRange(low, high) { range = high - low >= 0.05 ? [Math.max(0, low), Math.min(length, high)] : null; again(); },
    get playing() { return Boolean(playing); },
    get active() { return active; },
    get position() { return position(); },
    get length() { return length; },
    get loop() { return loop; },
    get range() { return range; },
  };
}
