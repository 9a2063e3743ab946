// What an id, the end of one, or a name leads to.

import { h } from "../dom.js";
import { link } from "../router.js";
import { empty } from "../words.js";

const WORDS = { task: "Task", queue: "Queue", worker: "Worker", name: "Tasks named" };

export const found = {
  path: "search/:text",
  title: ({ text }) => `Find ${text}`,
  async load(visit) {
    const { hits, ambiguous } = await visit.get("search", { text: visit.params.text });
    if (hits.length === 1) location.replace(addressOf(hits[0]));
    return { hits, ambiguous };
  },
  draw: ({ hits, ambiguous }, { params }) => [
    h("h1", null, h("small", null, "Found for"), params.text),
    ambiguous && h("p", { class: "note" }, ambiguous),
    !hits.length && !ambiguous && empty("No task, queue or worker has this id or name at the moment that is shown."),
    h("ul", { class: "hits panel" }, hits.map((hit) => h("li", { key: hit.kind + hit.name }, h("span", { class: "quiet" }, WORDS[hit.kind]),
      h("a", { href: addressOf(hit) }, hit.name), h("span", { class: "quiet" }, hit.about)))),
  ],
};

function addressOf({ kind, name }) {
  return kind === "name" ? link(["tasks"], { name }) : link([`${kind}s`, name]);
}
