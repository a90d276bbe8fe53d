// Any score against any other, from the numbers in the page. The table below each plot holds the same points as text.
(() => {
  "use strict";
  const { metrics, ladders, uncoded, here } = JSON.parse(document.getElementById("numbers").textContent);
  const get = (id) => document.getElementById(id);
  const domain = get("plot-domain"), across = get("plot-x"), up = get("plot-y"), log = get("plot-log"), anchors = get("plot-anchors");
  const box = get("plot"), readout = get("plot-readout"), body = get("plot-points");
  let plot = null, points = [], chosen = -1, allowed = null;

  const element = (name, text) => { const made = document.createElement(name); made.textContent = text; return made; };
  const shown = (p) => p.label + (here.includes(p.label) ? "†" : "");
  const title = (m) => m.name + (m.unit ? ` (${m.unit})` : "");
  const find = (id) => metrics.find((m) => m.id === id);
  const short = (x) => x === 0 ? "0" : Math.abs(x) >= 1000 && Math.abs(x) < 1e7 ? String(Math.round(x)) : Math.abs(x) < 0.001 || Math.abs(x) >= 1e7 ? x.toPrecision(3) : String(Number(x.toPrecision(4)));
  const value = ([mean, low, high]) => short(mean) + (low === null || low === high ? "" : ` [${short(low)}, ${short(high)}]`);
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function options(select, wanted) {
    const usable = metrics.filter((m) => domain.value in m.domains);
    const before = wanted ?? select.value;
    select.replaceChildren(...[...new Set(usable.map((m) => m.suite))].map((suite) => {
      const group = document.createElement("optgroup");
      group.label = suite;
      group.append(...usable.filter((m) => m.suite === suite).map((m) => { const o = element("option", title(m)); o.value = m.id; return o; }));
      return group;
    }));
    select.value = usable.some((m) => m.id === before) ? before : usable[0]?.id ?? "";
  }

  // x: a bitrate or a speed; y: the first measure of quality that the domain has.
  const COST = /^(kbps_packed|kbps_nominal|tokens_per_s)$/, SPEED = /rtf|real_?time|speed|latency/i;
  const usable = (test) => metrics.find((m) => domain.value in m.domains && test(m));
  const quality = () => usable((m) => m.first && !COST.test(m.name) && !SPEED.test(m.name) && m.better !== "");
  const presets = {
    "plot-rate": () => [usable((m) => m.name === "kbps_packed") ?? usable((m) => COST.test(m.name)), quality()],
    "plot-speed": () => [usable((m) => SPEED.test(m.name)), quality()],
  };
  for (const [id, make] of Object.entries(presets)) {
    const button = get(id);
    button.hidden = id === "plot-speed" && !metrics.some((m) => SPEED.test(m.name));
    button.addEventListener("click", () => preset(make()));
  }
  function preset([x, y]) {
    if (x) options(across, x.id);
    if (y) options(up, y.id);
    log.checked = true;
    draw();
  }

  function collect() {
    const x = find(across.value)?.domains[domain.value] ?? {}, y = find(up.value)?.domains[domain.value] ?? {};
    return Object.keys(y)
      .filter((label) => label in x && (anchors.checked || !uncoded.includes(label)) && (!allowed || allowed.has(label)) && !(log.checked && x[label][0] <= 0))
      .map((label) => ({ label, ladder: ladders[label], x: x[label], y: y[label] }))
      .sort((a, b) => a.x[0] - b.x[0] || a.label.localeCompare(b.label));
  }

  function draw() {
    points = collect();
    chosen = -1;
    plot?.destroy();
    plot = null;
    box.replaceChildren();
    const [mx, my] = [find(across.value), find(up.value)];
    body.replaceChildren(...points.map((p) => {
      const row = document.createElement("tr"), head = element("th", shown(p));
      head.scope = "row";
      row.append(head, element("td", value(p.x)), element("td", value(p.y)));
      return row;
    }));
    get("plot-head-x").textContent = mx ? title(mx) : "x";
    get("plot-head-y").textContent = my ? title(my) : "y";
    readout.textContent = points.length ? `${points.length} tokenizers. Point at one, or use the arrow keys.` : "No tokenizer has both values.";
    if (!points.length) return;
    box.setAttribute("aria-label", `${title(my)} against ${title(mx)}, ${domain.value}, ${points.length} tokenizers; arrow keys go from one to the next; the same numbers stand in the table below`);

    const groups = [...new Set(points.map((p) => p.ladder))], colours = Array.from({ length: 8 }, (_, i) => style(`--series-${i + 1}`));
    const colour = (p) => colours[groups.indexOf(p.ladder) % colours.length];
    const ink = style("--ink"), faint = style("--rule");
    const ends = (axis) => points.flatMap((p) => p[axis]).filter((v) => v !== null);
    const axis = (text) => ({ label: text, stroke: ink, labelFont: "13px system-ui, sans-serif", font: "12px system-ui, sans-serif", grid: { stroke: faint, width: 1 }, ticks: { stroke: faint } });
    const width = box.clientWidth;
    plot = new uPlot({
      width, height: Math.max(320, Math.min(520, Math.round(width * 0.62))), padding: [16, width > 600 ? 90 : 24, 0, 0],
      legend: { show: false }, cursor: { drag: { x: false, y: false }, points: { show: false }, x: false, y: false },
      scales: {
        x: { time: false, distr: log.checked ? 3 : 1, range: () => reach(ends("x").filter((v) => !log.checked || v > 0), log.checked) },
        y: { range: () => reach(ends("y"), false) },
      },
      axes: [{ ...axis(title(mx)), ...(log.checked ? { splits: round, filter: (u, splits) => splits, values: (u, splits) => splits.map(short) } : {}) }, { ...axis(title(my)), size: 58 }],
      series: [{}, ...groups.map((group) => ({
        label: group, stroke: colours[groups.indexOf(group) % colours.length], width: 1.5, spanGaps: true,
        points: { show: true, size: 8, fill: colours[groups.indexOf(group) % colours.length], filter: (u, i) => points.flatMap((p, at) => groups.indexOf(p.ladder) === i - 1 ? [at] : []) },
      }))],
      hooks: { draw: [(u) => marks(u, colour, ink)], setCursor: [nearest] },
    }, [points.map((p) => p.x[0]), ...groups.map((group) => points.map((p) => p.ladder === group ? p.y[0] : null))], box);
    plot.root.setAttribute("aria-hidden", "true");
  }

  function reach(values, logarithmic) {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    if (logarithmic) return [low / 1.4, high * 1.4];
    const room = (high - low || Math.abs(high) || 1) * 0.08;
    return [low - room, high + room];
  }

  // Of a logarithmic axis 1, 2, 5 and their decades have a number; over many decades these alone.
  function round(u, axis, low, high) {
    const leads = high / low > 2000 ? [1] : [1, 2, 5], found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
      for (const lead of leads) found.push(Number(`${lead}e${power}`));
    return found.filter((v) => v >= low && v <= high);
  }

  // Intervals as bars, then names where there is room for them.
  function marks(u, colour, ink) {
    const c = u.ctx, ratio = devicePixelRatio || 1, taken = [];
    const at = (v, scale) => u.valToPos(v, scale, true);
    c.save();
    c.beginPath();
    c.rect(u.bbox.left, u.bbox.top - 14 * ratio, u.bbox.width + 90 * ratio, u.bbox.height + 14 * ratio);
    c.clip();
    c.lineWidth = ratio;
    for (const p of points) {
      const [x, y] = [at(p.x[0], "x"), at(p.y[0], "y")];
      taken.push([x - 4 * ratio, y - 4 * ratio, 8 * ratio, 8 * ratio]);
      c.strokeStyle = colour(p);
      c.globalAlpha = 0.55;
      c.beginPath();
      if (p.y[1] !== null) { c.moveTo(x, at(p.y[1], "y")); c.lineTo(x, at(p.y[2], "y")); }
      if (p.x[1] !== null && (p.x[1] > 0 || !log.checked)) { c.moveTo(at(p.x[1], "x"), y); c.lineTo(at(p.x[2], "x"), y); }
      c.stroke();
      c.globalAlpha = 1;
    }
    c.font = `${11.5 * ratio}px system-ui, sans-serif`;
    c.textBaseline = "middle";
    c.textAlign = "left";
    c.fillStyle = ink;
    const edge = c.canvas.width - 2 * ratio, h = 11 * ratio, gap = 8 * ratio, named = new Set();
    const name = (p) => {
      const [x, y] = [at(p.x[0], "x"), at(p.y[0], "y")], w = c.measureText(shown(p)).width, aside = gap * 0.7;
      const places = [
        [x + gap, y], [x - gap - w, y], [x + aside, y - aside - h / 4], [x + aside, y + aside + h / 4],
        [x - w / 2, y - gap - h / 2], [x - w / 2, y + gap + h / 2], [x - aside - w, y - aside - h / 4], [x - aside - w, y + aside + h / 4],
        [x - w / 2, y - 2 * gap - h / 2], [x - w / 2, y + 2 * gap + h / 2],
      ];
      const clear = (left, middle) => !taken.some(([a, b, width, height]) => left < a + width && left + w > a && middle - h / 2 < b + height && middle + h / 2 > b);
      const free = places.find(([left, middle]) => left > u.bbox.left && left + w < edge && clear(left, middle));
      if (!free) return;
      c.fillText(shown(p), ...free);
      taken.push([free[0], free[1] - h / 2, w, h]);
      named.add(p.ladder);
    };
    // One name for every codec, the fewer rates it has the sooner; then whatever there is room for.
    const size = (ladder) => points.filter((p) => p.ladder === ladder).length, labelled = new Set();
    for (const ladder of [...new Set(points.map((p) => p.ladder))].sort((one, two) => size(one) - size(two)))
      for (const p of points.filter((q) => q.ladder === ladder).reverse())
        if (!named.has(ladder)) { name(p); labelled.add(p); }
    for (const p of points) if (!labelled.has(p)) name(p);
    const p = points[chosen];
    if (p) {
      c.strokeStyle = ink;
      c.lineWidth = 2 * ratio;
      c.beginPath();
      c.arc(at(p.x[0], "x"), at(p.y[0], "y"), 8 * ratio, 0, 7);
      c.stroke();
    }
    c.restore();
  }

  function choose(i) {
    if (i === chosen || !plot) return;
    chosen = i;
    const p = points[i];
    if (p) readout.textContent = `${shown(p)}: ${title(find(up.value))} ${value(p.y)}, ${title(find(across.value))} ${value(p.x)}`;
    plot.redraw(false);
  }
  function nearest(u) {
    const { left, top } = u.cursor;
    if (left === undefined || left < 0) return;
    const far = points.map((p) => Math.hypot(u.valToPos(p.x[0], "x") - left, u.valToPos(p.y[0], "y") - top));
    const best = far.indexOf(Math.min(...far));
    if (far[best] < 40) choose(best);
  }
  box.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step || !points.length) return;
    event.preventDefault();
    choose(chosen < 0 ? 0 : (chosen + step + points.length) % points.length);
  });

  for (const input of [across, up, log, anchors]) input.addEventListener("change", draw);
  domain.addEventListener("change", () => { options(across); options(up); draw(); });
  document.addEventListener("theme", draw);
  document.addEventListener("filter", (event) => { allowed = event.detail; draw(); });
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; draw(); } });
  preset(presets["plot-rate"]());
})();
