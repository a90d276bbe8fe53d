// A MUSHRA test: training, trials in an order of each listener's own, answers kept in the browser until they are saved as a file.
(() => {
  "use strict";
  const { test, items } = JSON.parse(document.getElementById("facts").textContent);
  const get = (id) => document.getElementById(id), STORE = `listening-test-${test}`, TRAINING = -1;
  const seek = get("seek"), loop = get("loop"), low = get("loop-from"), high = get("loop-to"), message = get("message");
  const make = (name, text = "", about = {}) => Object.assign(document.createElement(name), { textContent: text, ...about });
  const letter = (i) => String.fromCharCode(65 + i);
  const play = player(show);
  let state = recall(), rows = [], turn = 0;

  function recall() { try { return JSON.parse(localStorage.getItem(STORE)); } catch { return null; } }
  function keep() { try { localStorage.setItem(STORE, JSON.stringify(state)); } catch { /* it lasts as long as the page is open */ } }

  // FNV-1a seeds mulberry32: the same listener meets the same order whenever the page is opened.
  function random(text) {
    let h = 2166136261;
    for (const c of text) h = Math.imul(h ^ c.codePointAt(0), 16777619);
    return () => {
      h = (h + 0x6d2b79f5) | 0;
      let t = Math.imul(h ^ (h >>> 15), 1 | h);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }
  function shuffled(list, text) {
    const draw = random(text), out = [...list];
    for (let i = out.length - 1; i > 0; i--) { const j = Math.floor(draw() * (i + 1)); [out[i], out[j]] = [out[j], out[i]]; }
    return out;
  }
  const order = () => shuffled(items, `${test}/${state.listener}`);
  const current = () => state.trial === TRAINING ? order().at(-1) : order()[state.trial];
  const conditions = (item) => shuffled(item.conditions, `${test}/${state.listener}/${item.id}/${state.trial === TRAINING ? "training" : ""}`);
  const answers = () => state.answers[state.trial] ??= {};

  function view(name) { for (const id of ["start", "trial", "end"]) get(id).hidden = id !== name; }

  async function open() {
    const mine = ++turn;
    play.pause();
    if (!state) { view("start"); return; }
    if (state.trial >= items.length) { finish(); return; }
    const item = current(), training = state.trial === TRAINING;
    view("trial");
    get("trial-title").textContent = training ? "Training" : `Trial ${state.trial + 1} of ${items.length}`;
    get("hint").textContent = training
      ? "Get to know the versions and set the volume now. These ratings are not counted."
      : "Rate each version against the reference. One of them is the reference itself: it is to be rated 100.";
    get("next").textContent = training ? "Begin the test" : state.trial + 1 < items.length ? "Next trial" : "Finish";
    low.value = high.value = "";
    low.max = high.max = item.seconds.toFixed(2);
    loop.checked = true;
    rows = conditions(item).map(row);
    get("conditions").replaceChildren(...rows.map((r) => r.box));
    message.textContent = "Loading …";
    try {
      const samples = Math.round(item.seconds * RATE), heard = [item.reference, ...rows.map((r) => r.condition.sound)];
      const buffers = await Promise.all(heard.map((sound) => sounds.load(sound, samples)));
      if (mine !== turn) return;
      play.use(buffers.map((buffer) => ({ buffer, db: 0 })));
      play.select(0);
      play.setLoop(true);
      message.textContent = "";
    } catch (error) { message.textContent = error.message; }
    state.began = Date.now();
    keep();
    get("trial-title").focus();
    show();
  }

  function row(condition, i) {
    const found = answers()[condition.id] ??= { rating: null, plays: 0 };
    const box = make("div", "", { className: "condition" });
    const button = make("button", letter(i), { type: "button", id: `hear-${letter(i)}` });
    button.setAttribute("aria-label", `Hear version ${letter(i)}`);
    const slider = make("input", "", { type: "range", id: `rate-${letter(i)}`, min: 0, max: 100, step: 1, value: found.rating ?? 50 });
    slider.setAttribute("aria-label", `Rating of version ${letter(i)}`);
    const number = make("output", found.rating ?? "–");
    slider.classList.toggle("unrated", found.rating === null);
    const rated = () => { found.rating = Number(slider.value); number.textContent = slider.value; slider.classList.remove("unrated"); keep(); };
    slider.addEventListener("input", rated);
    slider.addEventListener("change", rated); // 50 itself is a rating when the slider is let go there
    button.addEventListener("click", () => hear(i + 1));
    box.append(button, slider, number);
    return { box, button, slider, condition, found };
  }

  function hear(i) {
    play.select(i);
    play.play();
    if (i) { rows[i - 1].found.plays += 1; rows[i - 1].slider.focus(); keep(); }
  }

  function show() {
    const at = play.position, length = play.length || 1;
    get("play").textContent = play.playing ? "Pause" : "Play";
    get("play").setAttribute("aria-pressed", String(play.playing));
    get("reference").setAttribute("aria-pressed", String(play.active === 0));
    rows.forEach((r, i) => r.button.setAttribute("aria-pressed", String(play.active === i + 1)));
    seek.max = length;
    if (document.activeElement !== seek || play.playing) seek.value = at;
    get("time").textContent = `${at.toFixed(2)} / ${length.toFixed(2)} s`;
    if (play.playing) tick();
  }
  let asked = false;
  function tick() { if (!asked) { asked = true; requestAnimationFrame(() => { asked = false; if (play.playing) show(); }); } }

  function next() {
    const lacking = rows.map((r, i) => [letter(i), r.found]).filter(([, f]) => f.rating === null || !f.plays).map(([name]) => name);
    if (lacking.length && state.trial !== TRAINING) {
      message.textContent = `Hear and rate every version first: ${lacking.join(", ")}.`;
      return;
    }
    if (state.trial !== TRAINING && !rows.some((r) => r.found.rating === 100) && !state.warned) {
      state.warned = true;
      message.textContent = "None is rated 100. One of the versions is the reference itself; listen once more, or press the button again.";
      return;
    }
    state.warned = false;
    if (state.trial !== TRAINING) {
      state.seconds[state.trial] = Math.round((Date.now() - state.began) / 1000);
      state.places[state.trial] = rows.map((r) => r.condition.id);
    }
    state.trial += 1;
    keep();
    open();
  }

  function csv() {
    const cell = (x) => /[",\n]/.test(String(x)) ? `"${String(x).replaceAll('"', '""')}"` : String(x);
    const lines = [["test", "listener", "trial", "item", "condition", "position", "rating", "plays", "seconds"]];
    order().forEach((item, trial) => {
      (state.places[trial] ?? []).forEach((id, i) => {
        const found = state.answers[trial][id];
        lines.push([test, state.listener, trial + 1, item.id, id, i + 1, found.rating, found.plays, state.seconds[trial]]);
      });
    });
    return lines.map((line) => line.map(cell).join(",")).join("\n") + "\n";
  }
  function finish() {
    view("end");
    get("csv").value = csv();
    get("end-title").focus();
  }
  function save() {
    const link = make("a", "", { href: URL.createObjectURL(new Blob([csv()], { type: "text/csv" })) });
    link.download = `answers-${test}-${state.listener.replace(/[^\w.-]+/g, "_")}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  get("enter").addEventListener("submit", (event) => {
    event.preventDefault();
    const listener = get("listener").value.trim();
    if (!listener) return;
    state = { listener, trial: TRAINING, answers: {}, seconds: {}, places: {} };
    keep();
    open();
  });
  get("next").addEventListener("click", next);
  get("save").addEventListener("click", save);
  get("again").addEventListener("click", () => { state = null; keep(); get("listener").value = ""; open(); });
  get("play").addEventListener("click", () => { if (play.playing) play.toggle(); else hear(play.active); });
  get("reference").addEventListener("click", () => hear(0));
  seek.addEventListener("input", () => play.seek(Number(seek.value)));
  loop.addEventListener("change", () => play.setLoop(loop.checked));
  for (const end of [low, high]) end.addEventListener("change", () => play.setRange(Number(low.value), Number(high.value || play.length)));

  document.addEventListener("keydown", (event) => {
    const on = event.target;
    if (get("trial").hidden || event.ctrlKey || event.metaKey || event.altKey || on.matches("input[type=number], input[type=text]")) return;
    const i = event.key.length === 1 ? event.key.toUpperCase().charCodeAt(0) - 65 : -1;
    if (event.key === "0") hear(0);
    else if (i >= 0 && i < rows.length) hear(i + 1);
    else if (event.key === " " && !on.matches("button:not([id^=hear-]), summary")) play.toggle();
    else return;
    event.preventDefault();
  });
  open();
})();
