// Draws each `figure data-table=ID` from the rows of that table, with a label, a time and a number in each.
// The table shows the same numbers without this script.
"use strict";
(() => {
  function rows(table) {
    const found = [];
    for (const row of table.tBodies[0].rows) {
      const value = Number(row.cells[2].dataset.value ?? row.cells[2].textContent);
      const at = new Date(row.querySelector("time").dateTime);
      found.push({ label: row.cells[0].textContent, at, value });
    }
    return found;
  }

  function legend(name, labels) {
    const list = Object.assign(document.createElement("ul"), { className: name });
    labels.forEach((label, n) => {
      const item = Object.assign(document.createElement("li"), { textContent: label });
      item.dataset.series = n;
      list.append(item);
    });
    return list;
  }

  function draw(figure) {
    const data = rows(document.getElementById(figure.dataset.table));
    const labels = [...new Set(data.map((row) => row.label))];
    const style = getComputedStyle(figure);
    const colours = labels.map((_, n) => style.getPropertyValue(`--line-${n % 8}`).trim());
    const sign = figure.dataset.unit ?? "";
    const [low, high] = d3.extent(data, (row) => row.value);
    const room = Math.max((high - low) * 0.15, high * 0.02, Number.MIN_VALUE);
    const plot = Plot.plot({
      width: Math.max(figure.clientWidth, 240),
      height: Number(figure.dataset.height ?? 190),
      marginLeft: 44 + 8 * sign.length,
      marginRight: 12,
      ariaLabel: figure.getAttribute("aria-label"),
      x: { type: "utc", label: null, ticks: Math.max(2, Math.floor(figure.clientWidth / 110)) },
      y: {
        label: null, grid: true, ticks: 4, domain: [Math.max(0, low - room), high + room], nice: true,
        tickFormat: sign ? (value) => sign + d3.format("~g")(value) : d3.format(","),
      },
      color: { domain: labels, range: colours },
      marks: [
        Plot.lineY(data, { x: "at", y: "value", stroke: "label", strokeWidth: 1.75, curve: "step-after" }),
        Plot.tip(data, Plot.pointer({
          x: "at", y: "value", fill: style.getPropertyValue("--card").trim() || "white",
          title: (row) => `${row.label}\n${row.at.toLocaleString()}\n${sign}${row.value.toLocaleString(undefined, { maximumSignificantDigits: 6 })}`,
        })),
      ],
    });
    // The policy of the page forbids inline styles; pages.css has these rules.
    plot.querySelectorAll("style").forEach((inline) => inline.remove());
    figure.replaceChildren(plot);
    if (figure.dataset.legend) figure.append(legend(figure.dataset.legend, labels));
    const keys = figure.parentElement.querySelectorAll("[data-series]");
    keys.forEach((key) => key.style.setProperty("--colour", colours[Number(key.dataset.series)]));
  }

  const drawAll = () => document.querySelectorAll("figure[data-table]").forEach(draw);
  document.addEventListener("DOMContentLoaded", drawAll);
  let waiting;
  window.addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(drawAll, 150); });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
})();
