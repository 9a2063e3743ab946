// The fields of a filter that stands in the address; `fields` are [name, words, hint].

import { h } from "./dom.js";
import { change, link } from "./router.js";

export const filterOf = (fields, query) => Object.fromEntries(fields.map(([name]) => [name, query[name]]).filter((each) => each[1]));

export function filterForm(fields, { query }, path, kept = {}) {
  const set = (event) => change({ [event.target.name]: event.target.value.trim() }, { push: true });
  return h("form", { class: "filter", onsubmit: (event) => event.preventDefault() },
    fields.map(([name, words, hint]) => h("label", { key: name }, h("span", null, words), h("input", { name, value: query[name] ?? "", placeholder: hint, autocomplete: "off", spellcheck: "false", onchange: set }))),
    Object.keys(filterOf(fields, query)).length > 0 && h("a", { class: "button", key: "clear", href: link([path], kept) }, "Clear"));
}
