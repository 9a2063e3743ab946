// All tasks, the one submitted last first, by a filter that stands in the address.

import { h } from "../dom.js";
import { change } from "../router.js";
import { taskList } from "./queues.js";

const STATES = [["", "any state"], ["ready", "ready"], ["claimed", "running"], ["succeeded", "succeeded"], ["failed", "dead letter"], ["revoked", "revoked"]];
const FIELDS = [["name", "Name"], ["queue", "Queue"], ["tag", "Tag"], ["since", "Since", "10m, 14:05"], ["until", "Until", "10m, 14:05"]];

export const tasks = {
  path: "tasks",
  title: () => "Tasks",
  group: "tasks",
  nav: ["Tasks", "g t"],
  async load(visit) {
    const { state, name, queue, tag, since, until } = visit.query;
    const list = (visit.state.list ??= taskList(visit, { state, name, queue, tag, since, until }));
    visit.state.get = visit.get;
    await list.begin();
    return { list };
  },
  touches: (event) => event.name.startsWith("task."),
  draw: ({ list }, visit) => [h("h1", null, "Tasks"), filter(visit), list.element()],
};

function filter({ query }) {
  const set = (event) => change({ [event.target.name]: event.target.value.trim() }, { push: true });
  return h("form", { class: "filter", onsubmit: (event) => event.preventDefault() },
    h("label", { key: "state" }, h("span", null, "State"), h("select", { name: "state", onchange: set, value: query.state ?? "" }, STATES.map(([value, words]) => h("option", { key: value, value, selected: value === (query.state ?? "") }, words)))),
    FIELDS.map(([name, words, hint]) => h("label", { key: name }, h("span", null, words), h("input", { name, value: query[name] ?? "", placeholder: hint, autocomplete: "off", spellcheck: "false", onchange: set }))));
}
