// Times: relative where they are read, absolute on hover, in the reader's own zone. Seconds since the epoch throughout.

import { h } from "./dom.js";

const UNITS = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]];
const full = new Intl.DateTimeFormat(undefined, {
  year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
  fractionalSecondDigits: 3, timeZoneName: "short", hourCycle: "h23",
});
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const minutes = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

// The moment that the page shows, null for now; relative times are relative to it.
let shown = null;
export const showMoment = (moment) => (shown = moment);
export const nowSeconds = () => Date.now() / 1_000;
export const reference = () => shown ?? nowSeconds();

export const absolute = (at) => full.format(at * 1_000);
export const timeOfDay = (at) => clock.format(at * 1_000);
export const hourMinute = (at) => minutes.format(at * 1_000);

// A span in one or two units: "3.2 ms", "1.4 s", "12 min", "3 h 5 min".
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds === 0) return "0 s";
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${trim(seconds * 1_000)} ms`;
  if (seconds < 60) return `${trim(seconds)} s`;
  const place = UNITS.findIndex(([, size]) => seconds >= size);
  const [unit, size] = UNITS[place];
  const whole = Math.floor(seconds / size);
  const [lesser, small] = UNITS[place + 1];
  const rest = Math.floor((seconds - whole * size) / small);
  return whole < 10 && rest ? `${whole} ${unit} ${rest} ${lesser}` : `${whole} ${unit}`;
}

const trim = (number) => (number < 10 ? number.toFixed(1).replace(/\.0$/, "") : String(Math.round(number)));

function relative(at, kind) {
  const apart = reference() - at;
  if (kind === "since") return coarse(Math.max(0, apart));
  if (Math.abs(apart) < 1) return "now";
  return apart > 0 ? `${rough(apart)} ago` : `in ${rough(-apart)}`;
}

// Whole minutes are enough for what was minutes ago.
const rough = (seconds) => (seconds >= 60 && seconds < 3_600 ? `${Math.floor(seconds / 60)} min` : coarse(seconds));

const coarse = (seconds) => (seconds < 1 ? "0 s" : span(seconds < 60 ? Math.floor(seconds) : seconds));

// `since` shows how long ago without the word "ago".
export function time(at, kind = "ago") {
  if (at === null || at === undefined) return h("span", { class: "none" }, "–");
  const iso = new Date(at * 1_000).toISOString();
  return h("time", { datetime: iso, title: absolute(at), "data-at": at, "data-kind": kind }, relative(at, kind));
}

// Lets the relative times on the page go on, once a second; in the past they stand still.
export function tick() {
  if (shown !== null || document.hidden) return;
  for (const each of document.querySelectorAll("time[data-at]")) {
    const text = relative(Number(each.dataset.at), each.dataset.kind);
    if (each.firstChild.data !== text) each.firstChild.data = text;
  }
}
