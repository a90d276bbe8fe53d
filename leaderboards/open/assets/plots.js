// One score against one cost, drawn as SVG from assets/numbers.js: the front of what nothing else beats, intervals, names where they fit.
(() => {
  "use strict";
  const box = document.getElementById("plot");
  if (!box) return;
  const { labels, shown, kinds, families, metrics, domains } = numbers, { focus, up: root } = box.dataset;
  const links = numbers.links.map((link) => root + link);
  const get = (id) => document.getElementById(id);
  const across = get("plot-x"), up = get("plot-y"), readout = get("plot-readout"), list = get("front");
  const FONT = 12, R = 4.5;
  let points = [], chosen = -1, allowed = null, place = null, ring = null;

  const svg = (name, attributes = {}, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const element = (name, text, attributes = {}) => Object.assign(document.createElement(name), { textContent: text, ...attributes });
  const short = (x) => x === 0 ? "0" : Math.abs(x) >= 1000 && Math.abs(x) < 1e7 ? Math.round(x).toLocaleString("en") : Math.abs(x) < 0.001 || Math.abs(x) >= 1e7 ? x.toPrecision(2) : String(Number(x.toPrecision(3)));
  const value = ([mean, low, high]) => short(mean) + (low == null || low === high ? "" : ` [${short(low)}, ${short(high)}]`);
  const title = (m) => m.head + (m.unit && m.unit !== m.head && m.unit !== "1/s" ? ` (${m.unit})` : "");
  const find = (id) => metrics.find((m) => m.id === id);
  const direction = (m) => m.better === "higher" ? 1 : -1;
  const domain = () => domains.includes(state.get("domain")) ? state.get("domain") : domains[0];
  const usable = (test) => metrics.filter((m) => domain() in m.domains && test(m));
  const isAcross = (m) => m.across, isUp = (m) => m.up;

  // The choices that the domain has; the chosen one, or the first.
  const options = (select, test, wanted) => {
    const found = usable(test), groups = [...new Set(found.map((m) => m.group))];
    select.replaceChildren(...groups.map((name) => {
      const group = element("optgroup", "", { label: name });
      group.append(...found.filter((m) => m.group === name).map((m) => element("option", title(m), { value: m.id })));
      return group;
    }));
    select.value = (found.find((m) => m.id === wanted) ?? found.find((m) => m.id === box.dataset[select === across ? "x" : "y"]) ?? found[0])?.id ?? "";
  };

  const collect = (mx, my, log) => labels.map((label, i) => ({ i, label, name: shown[i], kind: kinds[i], family: families[i], x: mx?.domains[domain()]?.[i], y: my?.domains[domain()]?.[i] }))
    .filter((p) => p.x && p.y && (!allowed || allowed.has(p.label)) && (!log || p.x[0] > 0) && (p.kind !== "reference" || p.label === focus || state.get("refs") === "1"))
    .sort((a, b) => a.x[0] - b.x[0] || a.i - b.i);

  // What no other beats: nobody is as good on both axes and better on one.
  const undominated = (mx, my) => points.filter((p) => p.kind !== "reference" && !points.some((q) => {
    const [dx, dy] = [direction(mx) * (q.x[0] - p.x[0]), direction(my) * (size(my, q.y) - size(my, p.y))];
    return q.kind !== "reference" && dx >= 0 && dy >= 0 && (dx > 0 || dy > 0);
  }));
  const size = (m, [mean]) => m.better === "zero" ? Math.abs(mean) : mean;

  const ticks = (low, high, log, room) => {
    if (log) {
      const leads = high / low > 300 ? [1] : high / low > 30 ? [1, 3] : [1, 2, 5], found = [];
      for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) for (const lead of leads) found.push(Number(`${lead}e${power}`));
      const inside = found.filter((v) => v >= low && v <= high);
      if (inside.length > 1) return inside;
    }
    const rough = (high - low) / Math.max(2, room), power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((k) => k * power).find((s) => s >= rough), found = [];
    for (let k = Math.ceil(low / step); k * step <= high; k++) found.push(Number((k * step).toPrecision(10)));
    return found;
  };
  const reach = (values, log) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    if (log) return [low / 1.35, high * 1.5];
    const room = (high - low || Math.abs(high) || 1) * 0.07;
    return [low - room, high + room];
  };
  const marker = { published: `M${-R},0a${R},${R} 0 1,0 ${2 * R},0a${R},${R} 0 1,0 ${-2 * R},0`, here: "M0,-5.5L5.5,0L0,5.5L-5.5,0Z", plain: "M-4,-4H4V4H-4Z", reference: "M-4,-4L4,4M4,-4L-4,4" };

  const draw = () => {
    options(across, isAcross, state.get("x"));
    options(up, isUp, state.get("y"));
    const [mx, my] = [find(across.value), find(up.value)], log = state.get("log") !== "0";
    points = mx && my ? collect(mx, my, log) : [];
    chosen = -1;
    ring = null;
    const front = mx && my ? undominated(mx, my) : [];
    listing(front, mx, my);
    readout.textContent = points.length ? `${points.length} tokenizers. Point at one, or use the arrow keys; Enter opens its page.` : "No tokenizer that the filter leaves has both values.";
    if (!points.length) { box.replaceChildren(); return; }
    const width = box.clientWidth, height = Math.round(Math.max(270, Math.min(350, width * 0.56)));
    const left = 46, right = 12, top = 26, bottom = 40;
    const [x0, x1] = reach(points.map((p) => p.x[0]), log), ends = points.flatMap((p) => p.y).filter((v) => v != null), [y0, y1] = reach(ends, false);
    const along = log ? (v) => Math.log(v / x0) / Math.log(x1 / x0) : (v) => (v - x0) / (x1 - x0);
    const X = (v) => left + (width - left - right) * Math.min(1, Math.max(0, along(v))), Y = (v) => height - bottom - (height - top - bottom) * (v - y0) / (y1 - y0);
    place = (p) => [X(p.x[0]), Y(p.y[0])];
    const image = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    for (const v of ticks(y0, y1, false, height / 60)) image.append(svg("path", { class: "grid", d: `M${left},${Y(v)}H${width - right}` }), svg("text", { class: "tick", x: left - 7, y: Y(v) + 4, "text-anchor": "end" }, short(v)));
    for (const v of ticks(x0, x1, log, width / 110)) image.append(svg("path", { class: "grid", d: `M${X(v)},${top}V${height - bottom}` }), svg("text", { class: "tick", x: X(v), y: height - bottom + 17, "text-anchor": "middle" }, short(v)));
    const good = my.better === "higher" ? "higher is better" : my.better === "lower" ? "lower is better" : "nearest to 0 is best";
    image.append(svg("text", { class: "axis", x: 4, y: 13 }, `${title(my)}, ${good}`), svg("text", { class: "axis", x: width - right, y: height - 5, "text-anchor": "end" }, `${title(mx)}${log ? ", logarithmic" : ""}`));

    if (front.length) {
      const order = [...front].sort((a, b) => a.x[0] - b.x[0]);
      let d = `M${place(order[0])}`;
      for (const p of order.slice(1)) d += mx.better === "higher" ? `V${place(p)[1]}H${place(p)[0]}` : `H${place(p)[0]}V${place(p)[1]}`;
      image.append(svg("path", { class: "front", d: mx.better === "higher" ? d : `${d}H${width - right}` }));
    }
    const own = (p) => !focus || p.family === families[labels.indexOf(focus)];
    for (const family of new Set(points.map((p) => p.family))) {
      const line = points.filter((p) => p.family === family);
      if (line.length > 1) image.append(svg("path", { class: `family ${line[0].kind}${own(line[0]) ? "" : " faint"}`, d: `M${line.map((p) => place(p)).join("L")}` }));
    }
    for (const p of points) {
      const [x, y] = place(p), bars = [];
      if (p.y[1] != null) bars.push(`M${x},${Y(p.y[1])}V${Y(p.y[2])}`);
      if (p.x[1] != null && p.x[1] > 0) bars.push(`M${X(p.x[1])},${y}H${X(p.x[2])}`);
      if (bars.length) image.append(svg("path", { class: `bar-95 ${p.kind}${own(p) ? "" : " faint"}`, d: bars.join("") }));
    }
    for (const p of points) image.append(svg("path", { class: `point ${p.kind}${front.includes(p) ? " on-front" : ""}${own(p) ? "" : " faint"}`, d: marker[p.kind], transform: `translate(${place(p)})` }));
    image.append(...names(front, own, { left, right: width - right, top: 16, bottom: height - bottom + 2 }));
    ring = image.appendChild(svg("circle", { class: "ring", r: 9, visibility: "hidden" }));
    box.replaceChildren(image);
    box.setAttribute("aria-label", `${title(my)} against ${title(mx)}, ${domain()}, ${points.length} tokenizers, ${front.length} on the Pareto front; arrow keys go from one to the next`);
  };

  // A name beside its point, where it covers no point and no other name: those on the front first, then one of every codec, then the others.
  const pen = document.createElement("canvas").getContext("2d");
  const names = (front, own, edge) => {
    const family = getComputedStyle(box).fontFamily;
    const taken = points.map((p) => [place(p)[0] - 6, place(p)[1] - 6, 12, 12]), made = [], named = new Set();
    const order = [...front, ...points.filter((p) => focus && own(p)), ...[...new Set(points.map((p) => p.family))].map((family) => points.findLast((p) => p.family === family)), ...points.filter((p) => own(p))];
    for (const p of new Set(order)) {
      if (!own(p) && !front.includes(p)) continue;
      const bold = front.includes(p), [x, y] = place(p);
      pen.font = `${bold ? 600 : 400} ${FONT}px ${family}`;
      const w = pen.measureText(p.name).width + 2, h = FONT + 2, gap = 8;
      const spots = [[x + gap, y], [x - gap - w, y], [x + 5, y - 13], [x + 5, y + 13], [x - 5 - w, y - 13], [x - 5 - w, y + 13], [x - w / 2, y - 15], [x - w / 2, y + 15],
        [x + 5, y - 26], [x + 5, y + 26], [x - 5 - w, y - 26], [x - 5 - w, y + 26], ...(bold ? [[x - w / 2, y - 30], [x - w / 2, y + 30], [x + 12, y - 40], [x - 12 - w, y - 40], [x + 12, y + 40], [x - 12 - w, y + 40]] : [])];
      const free = spots.find(([a, b]) => a >= edge.left && a + w <= edge.right && b - h / 2 >= edge.top && b + h / 2 <= edge.bottom
        && !taken.some(([c, d, e, f]) => a < c + e && a + w > c && b - h / 2 < d + f && b + h / 2 > d));
      if (!free) continue;
      if (Math.abs(free[1] - y) > 20) made.push(svg("path", { class: "leader", d: `M${x},${y}L${Math.min(Math.max(x, free[0]), free[0] + w)},${free[1] + (free[1] < y ? 5 : -7)}` }));
      made.push(svg("text", { class: `name${bold ? " bold" : ""}`, x: free[0] + 1, y: free[1] + 4 }, p.name));
      taken.push([free[0], free[1] - h / 2, w, h]);
      named.add(p);
    }
    return made;
  };

  const listing = (front, mx, my) => {
    if (!list) return;
    get("front-about").textContent = front.length ? `On the Pareto front (no other is as good in ${my.head} at the same ${mx.head} or better):` : "";
    const most = front.length > 12 ? 11 : 12; // of more, the plot has the others
    list.replaceChildren(...front.slice(0, most).map((p) => {
      const line = document.createElement("li");
      line.append(element("a", p.name, { href: links[p.i] }), element("span", `${short(p.x[0])} ${mx.id === "kbps_packed" ? "kbit/s" : mx.head}`), element("b", `${short(p.y[0])}${my.unit === "%" ? " %" : ""}`));
      return line;
    }), ...(front.length > most ? [element("li", `and ${front.length - most} more`)] : []));
  };

  const choose = (i) => {
    if (i === chosen || !ring) return;
    chosen = i;
    const p = points[i], [x, y] = place(p);
    ring.setAttribute("cx", x);
    ring.setAttribute("cy", y);
    ring.setAttribute("visibility", "visible");
    readout.textContent = `${p.name}: ${title(find(up.value))} ${value(p.y)}, ${title(find(across.value))} ${value(p.x)}`;
  };
  const nearest = (event) => {
    const at = box.getBoundingClientRect(), far = points.map((p) => Math.hypot(place(p)[0] - event.clientX + at.left, place(p)[1] - event.clientY + at.top));
    const best = far.indexOf(Math.min(...far));
    return far[best] < 36 ? best : -1;
  };
  box.addEventListener("pointermove", (event) => { const i = nearest(event); if (i >= 0) choose(i); });
  box.addEventListener("click", (event) => { const i = nearest(event); if (i < 0) return; if (event.pointerType === "touch" && i !== chosen) choose(i); else if (links[points[i].i]) location.href = links[points[i].i]; });
  box.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Enter" && chosen >= 0) location.href = links[points[chosen].i];
    if (!step || !points.length) return;
    event.preventDefault();
    choose(chosen < 0 ? 0 : (chosen + step + points.length) % points.length);
  });
  for (const [select, key] of [[across, "x"], [up, "y"]]) select.addEventListener("change", () => state.set({ [key]: select.value }));
  document.addEventListener("filter", (event) => { allowed = event.detail; });
  document.addEventListener("state", draw);
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; draw(); } });
})();
