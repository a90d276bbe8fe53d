// What the reader has chosen, kept in the address behind # so that a view can be sent to somebody. A starting point (start=...) stands for
// several choices at once; the first choice of one's own spells them out. Controls say with data-key which choice they show.
const state = (() => {
  "use strict";
  const starts = JSON.parse(document.getElementById("starts")?.textContent ?? "{}");
  const controls = [...document.querySelectorAll("[data-key]")];
  const initial = (control) => control.type === "radio" ? (control.defaultChecked ? control.value : null)
    : control.type === "checkbox" ? (control.defaultChecked ? "1" : "") : control.tagName === "SELECT" ? "" : control.defaultValue;
  const usual = {};
  for (const control of controls) usual[control.dataset.key] ||= initial(control) ?? "";
  let chosen = {};

  const get = (key) => chosen[key] ?? starts[chosen.start]?.set[key] ?? usual[key] ?? "";
  const read = () => {
    if (location.hash.length > 1 && !location.hash.includes("=")) return false; // a place on the page
    chosen = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    return true;
  };
  const tell = () => {
    for (const control of controls) {
      const value = get(control.dataset.key);
      if (control.type === "radio") control.checked = control.value === value;
      else if (control.type === "checkbox") control.checked = value === "1";
      else if (control.tagName !== "SELECT" && control.value !== value) control.value = value;
    }
    document.dispatchEvent(new Event("state"));
  };
  const write = () => {
    const kept = Object.entries(chosen).filter(([key, value]) => value !== (starts[chosen.start]?.set[key] ?? usual[key] ?? ""));
    chosen = Object.fromEntries(kept);
    const hash = new URLSearchParams(chosen).toString();
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
    tell();
  };
  const set = (changes, narrows = false) => {
    if (narrows && chosen.start) { chosen = { ...starts[chosen.start].set, ...chosen }; delete chosen.start; }
    Object.assign(chosen, changes);
    write();
  };
  const begin = (start) => { chosen = start ? { start } : {}; write(); };

  for (const control of controls)
    control.addEventListener(control.type === "search" || control.type === "number" ? "input" : "change", () =>
      set({ [control.dataset.key]: control.type === "checkbox" ? (control.checked ? "1" : "0") : control.value }, "narrows" in control.dataset));
  addEventListener("hashchange", () => { if (read()) tell(); });
  read();
  document.addEventListener("DOMContentLoaded", tell);
  return { get, set, begin, start: () => chosen.start ?? "", reason: () => starts[chosen.start]?.reason ?? "" };
})();
