// Tables that sort and filter. Without this file every row is shown, in the order of the bitrates.
(() => {
  "use strict";
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const get = (id) => document.getElementById(id);
  const boards = all("table.board").map((table) => ({
    table, heads: all("thead th[data-id]", table), rows: all("tbody tr[data-label]", table), order: all("tbody > tr", table),
  }));
  const labels = [...new Set(boards.flatMap(({ rows }) => rows.map((row) => row.dataset.label)))];
  const limits = all("input[data-limit]");

  // The first number in a cell; what has none goes below, whichever way a column is sorted.
  const number = (cell, better) => {
    const found = cell.textContent.match(/-?\d[\d.]*(e[+-]?\d+)?/);
    return !found || cell.classList.contains("na") ? null : better === "zero" ? Math.abs(Number(found[0])) : Number(found[0]);
  };
  const sort = ({ table, heads, rows, order }, key) => {
    const id = key.replace(/^-/, ""), head = heads.find((th) => th.dataset.id === id);
    for (const th of heads) th.setAttribute("aria-sort", th !== head ? "none" : key.startsWith("-") ? "descending" : "ascending");
    const body = table.tBodies[0], feet = [...table.tBodies].slice(1);
    const plain = !head || key === table.dataset.sort;
    if (plain && table.dataset.sorted === undefined) return; // as it came
    table.dataset.sorted = key;
    for (const band of all("tr.band", body)) band.hidden = !plain;
    if (plain) { body.append(...order.filter((row) => row.closest("tbody") === body)); return; }
    const place = [...head.parentElement.children].indexOf(head), sign = key.startsWith("-") ? -1 : 1;
    const value = new Map(rows.map((row) => [row, id === "name" ? row.dataset.label : number(row.cells[place], head.dataset.better)]));
    const compare = (a, b) => {
      const [x, y] = [value.get(a), value.get(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      return sign * (id === "name" ? x.localeCompare(y, "en", { numeric: true }) : x - y);
    };
    for (const part of [body, ...feet]) part.append(...rows.filter((row) => row.closest("tbody") === part).sort(compare));
  };
  for (const { heads } of boards)
    for (const head of heads)
      head.querySelector("button").addEventListener("click", () => {
        const down = head.dataset.better === "higher" ? `-${head.dataset.id}` : head.dataset.id; // its best values first
        state.set({ sort: state.get("sort") === down ? (down.startsWith("-") ? down.slice(1) : `-${down}`) : down });
      });

  const fits = (row) => {
    const wanted = state.get("q").toLowerCase().split(/[\s,]+/).filter(Boolean), at = JSON.parse(row.dataset.at ?? "{}");
    const kind = state.get("kind");
    return (!wanted.length || wanted.some((word) => row.dataset.label.toLowerCase().includes(word))) && (!kind || row.dataset.kind === kind)
      && limits.every(({ dataset: { key, limit } }) => state.get(key) === "" || (limit in at && at[limit] <= Number(state.get(key))));
  };
  const filter = () => {
    const seen = new Set();
    for (const { table, rows } of boards) {
      for (const row of rows) {
        const reference = row.closest("tbody").classList.contains("references");
        row.hidden = !(reference && !state.get("q") ? true : fits(row));
        if (!row.hidden) seen.add(row.dataset.label);
      }
      for (const band of all("tr.band", table)) {
        let next = band.nextElementSibling, any = false;
        for (; next && !next.matches(".band"); next = next.nextElementSibling) any ||= !next.hidden;
        band.hidden ||= !any;
      }
      const none = table.closest(".scroll").parentElement.querySelector(".none");
      if (none) none.hidden = rows.some((row) => !row.hidden && !row.closest(".references"));
    }
    if (get("shown")) get("shown").textContent = `${seen.size} of ${labels.length} tokenizers`;
    document.dispatchEvent(new CustomEvent("filter", { detail: seen }));
  };

  // One of several panels, as the domains; "every" shows further columns, "intervals" the intervals.
  const panels = () => {
    const found = all("[data-panel]"), shown = found.find((panel) => panel.dataset.panel === state.get("domain")) ?? found[0];
    for (const panel of found) { panel.hidden = panel !== shown; panel.classList.remove("later"); }
    document.body.classList.toggle("every", state.get("every") === "1");
    document.body.classList.toggle("intervals", state.get("ci") === "1");
  };

  // Up to three that the reader wants side by side.
  const tray = get("tray");
  const picked = () => state.get("t").split(",").filter((label) => labels.includes(label)).slice(0, 3);
  const pick = () => {
    const chosen = picked();
    for (const box of all("input.pick")) {
      box.checked = chosen.includes(box.value);
      box.disabled = !box.checked && chosen.length === 3;
    }
    if (!tray) return;
    tray.hidden = !chosen.length;
    get("tray-names").textContent = chosen.join(", ");
    for (const link of all("a[data-to]", tray)) link.href = `${link.dataset.to}#${new URLSearchParams("numbered" in link.dataset ? chosen.map((label, i) => [i + 1, label]) : { t: chosen.join(",") })}`;
    get("tray-compare").hidden = chosen.length < 2;
    get("tray-more").hidden = chosen.length > 1;
  };
  for (const box of all("input.pick"))
    box.addEventListener("change", () => state.set({ t: box.checked ? [...picked(), box.value].join(",") : picked().filter((label) => label !== box.value).join(",") }));
  get("tray-clear")?.addEventListener("click", () => state.set({ t: "" }));

  for (const button of all("button[data-start]")) button.addEventListener("click", () => state.begin(button.dataset.start));
  for (const button of all("button.clear")) button.addEventListener("click", () => state.set({ q: "", kind: "", start: "", ...Object.fromEntries(limits.map((i) => [i.dataset.key, ""])) }, true));

  const details = location.hash.length > 1 && !location.hash.includes("=") && get(decodeURIComponent(location.hash.slice(1)));
  if (details instanceof HTMLDetailsElement) details.open = true;
  for (const filters of all("details.filters")) filters.open = innerWidth > 600;

  document.addEventListener("state", () => {
    for (const board of boards) sort(board, state.get("sort") || board.table.dataset.sort);
    panels();
    filter();
    pick();
    for (const button of all("button[data-start]")) button.setAttribute("aria-pressed", String(button.dataset.start === state.start()));
    if (get("reason")) get("reason").textContent = state.reason() || get("reason").dataset.usual;
  });
})();
