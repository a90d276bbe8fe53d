// Two or three tokenizers side by side: the choice is in the address, the figures are those of paired.js.
(() => {
  "use strict";
  const selects = [...document.querySelectorAll("select.one")], out = document.getElementById("tables"), said = document.getElementById("said");
  const element = (name, text = "", attributes = {}) => Object.assign(document.createElement(name), { textContent: text, ...attributes });
  const digits = ({ tolerance, scale }, value) => Math.abs(value * scale) >= 1000 ? 0 : Math.min(3, Math.max(0, Math.ceil(-Math.log10(Number((tolerance * scale).toPrecision(12))))));
  const text = (table, values, sign = "") => {
    const places = digits(table, values[0]);
    return values.map((v) => { const shown = (v * table.scale).toFixed(places).replace(/^-(?=0(\.0*)?$)/, ""); return sign && v > 0 ? `+${shown}` : shown.replace("-", "−"); });
  };
  const probability = (p) => p === null ? "–" : p < 0.001 ? "<0.001" : p.toFixed(3);
  const chosen = () => state.get("t").split(",").map((label) => clips.labels.indexOf(label)).filter((i) => i >= 0).slice(0, 3);

  function row(table, lines) {
    const tr = element("tr"), name = element("th", table.head, { title: table.about });
    name.scope = "row";
    if (table.unit && table.unit !== table.head) name.append(" ", element("small", table.unit));
    tr.append(name, ...lines.map(({ mean }) => mean === null ? element("td", "n/a", { className: "na" }) : element("td", text(table, [mean])[0])));
    for (const { difference: d, p } of lines.slice(1)) {
      if (!d) { tr.append(element("td", "–"), element("td", "")); continue; }
      const [value, low, high] = text(table, d.low === null ? [d.value] : [d.value, d.low, d.high], "+");
      const cell = element("td", value), good = d.value && p !== null && p < 0.05 ? (d.value > 0) === (table.better === "higher") : null;
      if (low !== undefined && low !== high) cell.append(" ", element("span", `[${low}, ${high}]`, { className: "range" }));
      cell.className = good === null ? "" : good ? "better" : "worse";
      tr.append(cell, element("td", p === null ? "–" : `${probability(p)}${good === null ? "" : good ? " better" : " worse"}`));
    }
    return tr;
  }
  function draw() {
    const labels = chosen();
    selects.forEach((select, i) => { select.value = labels[i] === undefined ? "" : String(labels[i]); });
    out.replaceChildren();
    said.textContent = labels.length < 2 ? "Choose two tokenizers." : `bench compare ${labels.map((i) => clips.labels[i]).join(" ")} --suite …`;
    if (labels.length < 2) return;
    clips.suites.forEach((suite, number) => {
      const lines = paired.compare(number, labels).filter(({ table }) => labels.some((i) => (table.means ?? table.values)[i] !== null));
      if (!lines.length) return;
      const table = element("table", "", { className: "compared" }), head = element("tr"), scroll = element("div", "", { className: "scroll", tabIndex: 0 });
      scroll.setAttribute("role", "region");
      scroll.setAttribute("aria-label", suite.name);
      for (const words of [suite.name, ...labels.map((i) => clips.shown[i]), ...labels.slice(1).flatMap((i) => [`${clips.shown[i]} − ${clips.shown[labels[0]]}`, "p"])]) head.append(element("th", words, { scope: "col" }));
      table.createTHead().append(head);
      for (const domain of new Set(lines.map((line) => line.table.domain))) {
        const body = table.createTBody(), band = element("tr", "", { className: "band" }), title = element("th", domain, { scope: "rowgroup", colSpan: head.cells.length });
        band.append(title);
        body.append(band);
        for (const one of new Set(lines.filter((line) => line.table.domain === domain).map((line) => line.table))) body.append(row(one, lines.filter((line) => line.table === one)));
      }
      scroll.append(table);
      out.append(scroll, element("p", `${suite.facts}.`, { className: "facts" }));
    });
  }
  for (const select of selects) select.addEventListener("change", () => state.set({ t: selects.map((one) => one.value).filter(Boolean).filter((v, i, list) => list.indexOf(v) === i).map((i) => clips.labels[i]).join(",") }));
  document.addEventListener("state", draw);
})();
