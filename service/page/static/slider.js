// The slider through time: from the beginning of the journal to now, finer the nearer it comes to the present.

import { h } from "./dom.js";
import { change } from "./router.js";
import { absolute, nowSeconds, span } from "./times.js";

const STEPS = 1_000;
const FINE = 30; // seconds: within about so long ago the scale is linear, before that logarithmic
const MARKS = [60, 300, 900, 3_600, 6 * 3_600, 86_400, 7 * 86_400, 30 * 86_400, 365 * 86_400];
const MARK_NAMES = ["1 min", "5 min", "15 min", "1 h", "6 h", "1 d", "7 d", "30 d", "1 y"];

let beginning = null; // of the journal, in seconds since the epoch
let waiting = 0;

export const setBeginning = (at) => (beginning = at);

const whole = () => Math.max(60, nowSeconds() - (beginning ?? nowSeconds() - 3_600));
const placeOf = (ago) => 1 - Math.log1p(ago / FINE) / Math.log1p(whole() / FINE);
const agoAt = (place) => FINE * Math.expm1((1 - place) * Math.log1p(whole() / FINE));

export const textOf = (moment) => (moment === null ? null : new Date(moment * 1_000).toISOString());
export function momentOf(text) {
  const read = text ? Date.parse(text) : NaN;
  return Number.isNaN(read) ? null : read / 1_000;
}

// Shows a moment; null is now. While the slider moves, only the last place counts.
export function show(moment, { at_once = true } = {}) {
  clearTimeout(waiting);
  const set = () => change({ at: textOf(moment) });
  if (at_once) set();
  else waiting = setTimeout(set, 120);
}

// One step back or forward: a thirtieth of the time that has passed since, at least a second.
export function step(moment, direction, size = 1) {
  const now = nowSeconds();
  const ago = moment === null ? 0 : now - moment;
  if (moment === null && direction > 0) return;
  const width = Math.max(1, Math.round(ago / 30)) * size;
  const next = (moment ?? now) + direction * width;
  show(next >= now - 0.5 ? null : Math.max(next, beginning ?? next));
}

export function slider(moment) {
  const place = moment === null ? STEPS : Math.round(STEPS * placeOf(Math.max(0, nowSeconds() - moment)));
  const said = moment === null ? "now, live" : absolute(moment);
  const moved = (event) => {
    const value = Number(event.target.value);
    show(value >= STEPS ? null : nowSeconds() - agoAt(value / STEPS), { at_once: false });
  };
  const keyed = (event) => {
    const direction = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -1, PageUp: 1 }[event.key];
    if (direction === undefined) return;
    event.preventDefault();
    step(moment, direction, event.key.startsWith("Page") ? 10 : 1);
  };
  const marks = MARKS.map((ago, index) => [ago, MARK_NAMES[index]]).filter(([ago]) => ago < whole() * 0.8);
  return h("footer", { class: "times", "aria-label": "Time" },
    h("button", { type: "button", class: "step", title: "One step back ([)", "aria-label": "One step back in time", onclick: () => step(moment, -1) }, "‹"),
    h("div", { class: "rail" },
      h("input", {
        type: "range", min: 0, max: STEPS, step: 1, value: String(place), "aria-label": "The moment that is shown",
        "aria-valuetext": said, oninput: moved, onkeydown: keyed,
      }),
      h("div", { class: "marks", "aria-hidden": "true" },
        beginning !== null && h("span", { class: "begin", key: "begin", title: absolute(beginning) }, `${span(whole())} ago`),
        marks.map(([ago, name]) => placeOf(ago) > 0.14 && placeOf(ago) < 0.95 && h("span", { key: name, style: { left: `${placeOf(ago) * 100}%` } }, name)),
        h("span", { class: "now", key: "now" }, "now"))),
    h("button", { type: "button", class: "step", title: "One step forward (])", "aria-label": "One step forward in time", disabled: moment === null, onclick: () => step(moment, 1) }, "›"),
    h("button", { type: "button", class: "live", disabled: moment === null, title: "Back to now (l)", onclick: () => show(null) }, "Live"));
}
