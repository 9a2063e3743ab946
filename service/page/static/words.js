// Small pieces that several views are made of: numbers, names, states, messages.

import { h } from "./dom.js";
import { link } from "./router.js";

const grouped = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const count = (number) => (number === null || number === undefined ? "–" : grouped.format(number));
export const compact = (number) => (number < 10_000 ? grouped.format(number) : short.format(number));
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

const STATES = {
  ready: "ready", delayed: "delayed", claimed: "running", succeeded: "succeeded", failed: "dead letter",
  revoked: "revoked", waits: "not yet submitted", blocked: "will not run", unknown: "unknown",
};

// A state by word and colour; never by colour alone.
export function state(name) {
  return h("span", { class: `state ${name}` }, STATES[name] ?? name);
}

export const shortId = (id) => (id.length > 14 ? `…${id.slice(-8)}` : id);

export function taskLink(id, text = shortId(id)) {
  return h("a", { class: "mono", href: link(["tasks", id]), title: id }, text);
}
export function queueLink(name) {
  return h("a", { href: link(["queues", name]) }, name);
}
export function workerLink(id, text = shortId(id)) {
  return h("a", { class: "mono", href: link(["workers", id]), title: id }, text);
}
// What has expired a worker: another one, or a service, which has no view of its own.
export function observer(id, isService) {
  return isService ? h("span", { title: id }, "the service ", h("span", { class: "mono" }, shortId(id))) : workerLink(id);
}

export function empty(...said) {
  return h("p", { class: "empty" }, ...said);
}

// The content of an event or an argument, as indented JSON.
export function json(value) {
  return h("pre", { class: "json", tabindex: "0" }, JSON.stringify(value, null, 2));
}

export function facts(pairs) {
  const shown = pairs.filter((pair) => pair && pair[1] !== null && pair[1] !== undefined && pair[1] !== "");
  return h("dl", { class: "facts" }, shown.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
}

export function panel(title, ...content) {
  return h("section", { class: "panel" }, h("h2", null, title), ...content);
}

// A sentence of the service, with what stands between backquotes as code.
export function marked(text) {
  return text.split("`").map((part, index) => (index % 2 ? h("code", null, part) : part));
}

// A table: `columns` are [head, cell(row), class]; each row has a key.
export function table(caption, columns, rows, keyOf) {
  const head = columns.map(([name, , kind]) => h("th", { scope: "col", class: kind }, name));
  const cells = (row) => columns.map(([, cell, kind]) => h("td", { class: kind }, cell(row)));
  return h("div", { class: "scrolled", tabindex: "0", role: "region", "aria-label": caption },
    h("table", null, h("caption", { class: "unseen" }, caption), h("thead", null, h("tr", null, head)),
      h("tbody", null, rows.map((row) => h("tr", { key: keyOf(row) }, cells(row))))));
}
