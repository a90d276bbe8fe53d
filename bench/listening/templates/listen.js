// The page: a clip, the original and up to three tokenizers. What is chosen is in the address.
(() => {
  "use strict";
  const { clips, names, columns } = JSON.parse(document.getElementById("facts").textContent);
  const get = (id) => document.getElementById(id), SLOTS = ["0", "1", "2", "3"];
  const clipBox = get("clip"), seek = get("seek"), time = get("time"), message = get("message");
  const loop = get("loop"), low = get("loop-from"), high = get("loop-to"), match = get("match");
  const pickers = { 1: get("pick-1"), 2: get("pick-2"), 3: get("pick-3") };
  const buttons = SLOTS.map((slot) => get(`hear-${slot}`)), cards = SLOTS.map((slot) => get(`card-${slot}`));
  const make = (name, text, about = {}) => Object.assign(document.createElement(name), { textContent: text, ...about });
  const play = player(show);
  let clip = clips[0], shown = [], buffers = [], turn = 0;

  const label = (slot) => slot === "0" ? "" : pickers[slot].value;
  const track = (slot) => slot === "0" ? clip.original : clip.tracks[label(slot)];
  const decibels = (t) => clip.trim_db + (match.checked && t.match_db !== null ? t.match_db : 0) - t.stored_db;
  const signed = (x) => (x < 0 ? "−" : "+") + Math.abs(x).toFixed(1);
  const seconds = (x) => x.toFixed(2);

  function options(slot, wanted) {
    const groups = names.filter(([name]) => name in clip.tracks).map(([name, text]) => make("option", text, { value: name }));
    if (slot !== "1") groups.unshift(make("option", "none", { value: "" }));
    pickers[slot].replaceChildren(...groups);
    pickers[slot].value = groups.some((o) => o.value === wanted) ? wanted : groups[Math.min(slot === "1" ? 0 : Number(slot), groups.length - 1)]?.value ?? "";
  }

  function facts(slot, t) {
    const lines = columns.filter((c) => c.domains.includes(clip.domain) && slot !== "0").map((c) => [c.title, t.scores[c.name] ?? "–"]);
    const level = t.match_db === null ? "silent: not level matched" : slot === "0" ? "reference" : `${signed(t.match_db)} dB${match.checked ? "" : " (off)"}`;
    return [...lines, ["level match", level], ["carried as", t.how]].map(([name, value]) => {
      const row = document.createElement("div");
      row.append(make("dt", name), make("dd", value));
      return row;
    });
  }

  async function fill(keep) {
    const mine = ++turn, heard = shown[play.active] ?? "0";
    shown = SLOTS.filter((slot) => slot === "0" || label(slot));
    for (const slot of SLOTS) { cards[slot].hidden = buttons[slot].hidden = !shown.includes(slot); }
    message.textContent = "Loading …";
    try {
      const found = await Promise.all(shown.map((slot) => sounds.load(track(slot), Math.round(clip.seconds * RATE))));
      if (mine !== turn) return;
      buffers = found;
      play.use(shown.map((slot, i) => ({ buffer: buffers[i], db: decibels(track(slot)) })), keep);
      play.select(Math.max(0, shown.indexOf(heard)));
      shown.forEach((slot, i) => picture(slot, buffers[i]));
      message.textContent = "";
    } catch (error) { message.textContent = error.message; }
    show();
    keepAddress();
  }

  function picture(slot, buffer) {
    const t = track(slot), name = slot === "0" ? "original" : pickers[slot].selectedOptions[0].textContent;
    const canvas = cards[slot].querySelector("canvas");
    spectrogram.draw(canvas, buffer, clip.top_hz, decibels(t) - clip.trim_db);
    canvas.setAttribute("aria-label", `Spectrogram of ${name}, 0 to ${clip.top_hz / 1000} kHz`);
    cards[slot].querySelector("h2").replaceChildren(make("kbd", slot), ` ${name}`);
    cards[slot].querySelector("dl").replaceChildren(...facts(slot, t));
    buttons[slot].replaceChildren(make("kbd", slot), ` ${name}`);
    const ticks = [500, 1000, 2000, 4000, 8000, 16000].filter((hz) => hz < clip.top_hz * 0.95).map((hz) => {
      const tick = make("span", hz < 1000 ? `${hz} Hz` : `${hz / 1000} kHz`);
      tick.style.top = `${100 * spectrogram.height(hz, clip.top_hz)}%`;
      return tick;
    });
    cards[slot].querySelector(".ticks").replaceChildren(...ticks);
  }

  function show() {
    const at = play.position, length = play.length || clip.seconds, percent = (x) => `${100 * x / length}%`;
    get("play").textContent = play.playing ? "Pause" : "Play";
    get("play").setAttribute("aria-pressed", String(play.playing));
    shown.forEach((slot, i) => {
      buttons[slot].setAttribute("aria-pressed", String(i === play.active));
      cards[slot].classList.toggle("active", i === play.active);
      const area = cards[slot].querySelector(".range"), [a, b] = play.range ?? [0, 0];
      cards[slot].querySelector(".head").style.left = percent(at);
      Object.assign(area.style, { left: percent(a), width: percent(b - a) });
    });
    seek.max = length;
    if (document.activeElement !== seek || play.playing) seek.value = at;
    time.textContent = `${seconds(at)} / ${seconds(length)} s`;
    seek.setAttribute("aria-valuetext", `${seconds(at)} of ${seconds(length)} seconds`);
    if (play.playing) requestAnimationFrame(tick);
  }
  let asked = false;
  function tick() { if (!asked) { asked = true; requestAnimationFrame(() => { asked = false; if (play.playing) show(); }); } }

  function turnTo(id) {
    clip = clips.find((c) => c.id === id) ?? clips[0];
    clipBox.value = clip.id;
    const before = { 1: pickers[1].value, 2: pickers[2].value, 3: pickers[3].value };
    for (const slot of ["1", "2", "3"]) options(slot, before[slot]);
    get("about").textContent = `${clip.domain}: ${clip.why}${clip.text ? ` · “${clip.text}”` : ""}`;
    low.max = high.max = clip.seconds.toFixed(2);
  }

  function ranged(a, b) {
    play.setRange(Math.min(a, b), Math.max(a, b));
    const now = play.range;
    low.value = now ? seconds(now[0]) : "";
    high.value = now ? seconds(now[1]) : "";
    if (now && !loop.checked) { loop.checked = true; play.setLoop(true); }
    keepAddress();
  }

  function keepAddress() {
    const state = new URLSearchParams({ clip: clip.id });
    for (const slot of ["1", "2", "3"]) if (label(slot)) state.set(slot, label(slot));
    if (play.active) state.set("hear", shown[play.active]);
    if (loop.checked) state.set("loop", play.range ? play.range.map(seconds).join("-") : "all");
    if (!match.checked) state.set("match", "off");
    history.replaceState(null, "", `#${state}`);
  }
  function fromAddress() {
    const state = new URLSearchParams(location.hash.slice(1));
    turnTo(state.get("clip"));
    options("1", state.get("1") ?? "");
    options("2", state.has("1") ? state.get("2") ?? "" : names.filter(([name]) => name in clip.tracks)[1]?.[0] ?? "");
    options("3", state.get("3") ?? "");
    match.checked = state.get("match") !== "off";
    const [a, b] = (state.get("loop") ?? "").split("-").map(Number);
    fill(false).then(() => {
      loop.checked = state.has("loop");
      play.setLoop(loop.checked);
      if (b > a) ranged(a, b);
      const heard = shown.indexOf(state.get("hear") ?? "0");
      play.select(Math.max(0, heard));
      keepAddress();
    });
  }

  for (const one of clips) {
    const group = [...clipBox.children].find((g) => g.label === one.domain) ?? clipBox.appendChild(make("optgroup", "", { label: one.domain }));
    group.append(make("option", `${one.id} (${one.why})`, { value: one.id }));
  }
  clipBox.addEventListener("change", () => { turnTo(clipBox.value); low.value = high.value = ""; fill(false); });
  for (const slot of ["1", "2", "3"]) pickers[slot].addEventListener("change", () => fill(true));
  const hear = (slot) => { const i = shown.indexOf(slot); if (i >= 0) { play.select(i); keepAddress(); } };
  for (const slot of SLOTS) buttons[slot].addEventListener("click", () => hear(slot));
  get("play").addEventListener("click", () => play.toggle());
  seek.addEventListener("input", () => play.seek(Number(seek.value)));
  loop.addEventListener("change", () => { play.setLoop(loop.checked); keepAddress(); });
  for (const end of [low, high]) end.addEventListener("change", () => ranged(Number(low.value), Number(high.value || clip.seconds)));
  get("whole").addEventListener("click", () => ranged(0, 0));
  match.addEventListener("change", () => {
    play.setLevels(shown.map((slot) => decibels(track(slot))));
    shown.forEach((slot, i) => picture(slot, buffers[i]));
    show();
    keepAddress();
  });

  // A click on a picture goes there and hears it; a drag marks what is looped.
  for (const slot of SLOTS) {
    const box = cards[slot].querySelector(".picture");
    const at = (event) => { const r = box.getBoundingClientRect(); return Math.min(1, Math.max(0, (event.clientX - r.left) / r.width)) * play.length; };
    let began = null;
    box.addEventListener("pointerdown", (event) => { began = event.button === 0 ? [event.clientX, at(event)] : null; box.setPointerCapture(event.pointerId); });
    box.addEventListener("pointermove", (event) => { if (began && Math.abs(event.clientX - began[0]) > 6) ranged(began[1], at(event)); });
    box.addEventListener("pointerup", (event) => {
      if (began && Math.abs(event.clientX - began[0]) <= 6) { hear(slot); play.seek(at(event)); }
      began = null;
    });
    box.addEventListener("pointercancel", () => { began = null; });
  }

  document.addEventListener("keydown", (event) => {
    const on = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || on.matches("input[type=number], select")) return;
    if (SLOTS.includes(event.key)) hear(event.key);
    else if (event.key === " " && !on.matches("button, input, summary")) play.toggle();
    else if (event.key === " " && on.matches("button[id^=hear-], #seek")) play.toggle();
    else return;
    event.preventDefault();
  });
  addEventListener("hashchange", fromAddress);
  fromAddress();
})();
