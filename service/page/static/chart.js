// Charts as SVG: a line in a table cell, stacked bars and lines over the last hour. Each says in words what it shows.

import { h } from "./dom.js";
import { hourMinute } from "./times.js";

const most = (values) => Math.max(...values.filter((each) => each !== null && each !== undefined), 0);

function path(values, width, height, top) {
  const step = values.length > 1 ? width / (values.length - 1) : 0;
  let text = "";
  let isDrawing = false;
  values.forEach((value, index) => {
    if (value === null || value === undefined) {
      isDrawing = false;
      return;
    }
    const y = height - (top ? (value / top) * height : 0);
    text += `${isDrawing ? "L" : "M"}${(index * step).toFixed(1)} ${y.toFixed(1)}`;
    isDrawing = true;
  });
  return text;
}

// A small line without axes; `words` says the same for readers who do not see it.
export function spark(values, words, kind = "") {
  const top = most(values);
  const line = path(values, 100, 22, top || 1);
  return h("svg", { class: `spark ${kind}`, viewBox: "0 -1 100 24", preserveAspectRatio: "none", role: "img", "aria-label": words },
    h("title", null, words),
    top > 0 && h("path", { class: "area", d: `${line}L100 23L0 23Z` }),
    h("path", { class: "line", d: line || "M0 22L100 22" }));
}

// A round number at or above the greatest value, so that the axis can be read.
function ceiling(value) {
  if (value <= 0) return 1;
  const size = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((each) => each * size).find((each) => each >= value * 0.999);
}

// The same for seconds, which are read as minutes and hours where they are many.
const MINUTES = [60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400];
function ceilingOfTime(seconds) {
  return (seconds > 50 && MINUTES.find((each) => each >= seconds)) || ceiling(seconds);
}

function frame({ title, words, legend, top, unit, ends, body }) {
  if (!ends.length) body = [];
  const stamps = [0, 0.25, 0.5, 0.75, 1].map((share) => ends[Math.round(share * (ends.length - 1))]);
  return h("figure", { class: "chart" },
    h("figcaption", null, h("span", { class: "chart-title" }, title),
      h("span", { class: "legend" }, legend.map(([name, kind]) => h("span", { class: `key ${kind}` }, name)))),
    h("div", { class: "plot" },
      h("div", { class: "axis-y", "aria-hidden": "true" }, [1, 0.5, 0].map((share) => h("span", null, unit(top * share)))),
      h("svg", { viewBox: "0 0 600 120", preserveAspectRatio: "none", role: "img", "aria-label": words },
        [0, 60, 120].map((y) => h("line", { class: "rule", x1: 0, x2: 600, y1: y, y2: y })), body)),
    h("div", { class: "axis-x", "aria-hidden": "true" }, stamps.map((at) => h("span", null, at ? hourMinute(at) : ""))));
}

// Bars, one for each bucket; `series` are [name, values, kind], stacked from below.
export function bars({ title, words, series, ends, unit = String, tip }) {
  const sums = ends.map((_, index) => series.reduce((sum, each) => sum + each[1][index], 0));
  const top = ceiling(most(sums));
  const width = 600 / Math.max(1, ends.length);
  const body = ends.map((end, index) => {
    let below = 0;
    const parts = series.map(([, values, kind]) => {
      const height = (values[index] / top) * 120;
      below += height;
      return height > 0 && h("rect", { class: kind, x: (index * width + width * 0.12).toFixed(2), width: (width * 0.76).toFixed(2), y: (120 - below).toFixed(2), height: height.toFixed(2) });
    });
    return h("g", { key: end }, h("title", null, tip(index)), h("rect", { class: "hit", x: (index * width).toFixed(2), width: width.toFixed(2), y: 0, height: 120 }), parts);
  });
  return frame({ title, words, legend: series.map(([name, , kind]) => [name, kind]), top, unit, ends, body });
}

export function lines({ title, words, series, ends, unit, tip }) {
  const top = ceilingOfTime(most(series.flatMap((each) => each[1])));
  const width = 600 / Math.max(1, ends.length);
  const body = [
    ...series.map(([, values, kind]) => h("path", { class: `line ${kind}`, d: path(values, 600, 120, top) })),
    ...ends.map((end, index) => h("g", { key: end }, h("title", null, tip(index)), h("rect", { class: "hit", x: (index * width).toFixed(2), width: width.toFixed(2), y: 0, height: 120 }))),
  ];
  return frame({ title, words, legend: series.map(([name, , kind]) => [name, kind]), top, unit, ends, body });
}

// A bar of shares: `parts` are [name, number, kind].
export function shares(parts, words) {
  const whole = parts.reduce((sum, each) => sum + each[1], 0);
  return h("span", { class: "shares", role: "img", "aria-label": words, title: words },
    parts.filter((each) => each[1] > 0).map(([, number, kind]) => h("span", { class: kind, style: { "flex-grow": String(number / whole) } })));
}
