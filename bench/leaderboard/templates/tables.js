// Sorting, filtering, one domain or clip at a time, one player at a time. Without this file everything is shown, as it lies in the page.
(() => {
  "use strict";
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // A column's first click brings its best values to the top.
  for (const button of all("th button")) {
    const head = button.closest("th");
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const table = head.closest("table"), place = head.cellIndex;
      const first = head.dataset.better === "higher" ? "descending" : "ascending";
      const second = first === "descending" ? "ascending" : "descending";
      const order = head.getAttribute("aria-sort") === first ? second : first;
      for (const other of all("thead th", table)) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const key = (row) => row.cells[place].dataset.value;
      const compare = (a, b) => {
        const [x, y] = [key(a), key(b)];
        if (x === "" || y === "") return (x === "") - (y === ""); // what has no value stays below
        return sign * (Number(x) - Number(y));
      };
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort(compare));
    });
  }

  const words = document.getElementById("words"), most = document.getElementById("most"), status = document.getElementById("shown");
  const labels = [...new Set(all("tbody tr[data-label]").map((row) => row.dataset.label))];
  const fits = (label) => {
    const wanted = words.value.toLowerCase().split(/[\s,]+/).filter(Boolean);
    return !wanted.length || wanted.some((word) => label.toLowerCase().includes(word));
  };
  const filter = () => {
    const limit = most.value === "" ? Infinity : Number(most.value);
    const seen = new Set();
    for (const item of all("[data-label]")) {
      const kbps = item.dataset.kbps ?? "";
      const show = fits(item.dataset.label) && (limit === Infinity || kbps === "" || Number(kbps) <= limit);
      item.hidden = !show;
      if (show && item.matches("tr")) seen.add(item.dataset.label);
    }
    status.textContent = `${seen.size} of ${labels.length} tokenizers`;
    document.dispatchEvent(new CustomEvent("filter", { detail: seen }));
  };
  for (const input of [words, most]) input.addEventListener("input", filter);

  // Radio buttons that show one of several panels.
  for (const radio of all("input[data-panel]")) {
    const show = () => { document.getElementById(radio.dataset.panel).hidden = !radio.checked; };
    for (const other of all(`input[name="${CSS.escape(radio.name)}"]`)) other.addEventListener("change", show);
    show();
  }

  document.addEventListener("play", (event) => {
    for (const audio of all("audio")) if (audio !== event.target) audio.pause();
  }, true);

  const open = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target instanceof HTMLDetailsElement) { target.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", open);
  open();
  filter();
})();
