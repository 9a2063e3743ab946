// Recent events, by a filter; live ones arrive by the service's own stream.

import { h } from "../dom.js";
import { change } from "../router.js";
import { reference, time } from "../times.js";
import { facts, json, queueLink, taskLink, workerLink } from "../words.js";

const KEPT = 500;

export const events = {
  path: "events",
  title: () => "Events",
  group: "events",
  nav: ["Events", "g e"],
  async load(visit) {
    const { topic, key } = visit.query;
    const end = reference();
    const said = await visit.get("events", { topic, key, since: (end - 600).toFixed(3), until: visit.moment?.toFixed(3), limit: 10_000 }, { timeless: true });
    visit.state.events = said.events.slice(-KEPT).reverse();
    return visit.state;
  },
  hears(heard, visit) {
    const { topic, key } = visit.query;
    const matching = heard.filter((event) => (!topic || event.name === topic || event.name.startsWith(`${topic}.`)) && (!key || event.key === key));
    if (!matching.length || !visit.state.events) return;
    const known = new Set(visit.state.events.slice(0, KEPT).map(place));
    visit.state.events = [...matching.filter((event) => !known.has(place(event))).reverse(), ...visit.state.events].slice(0, KEPT);
    if (!visit.state.due) visit.state.due = setTimeout(() => { visit.state.due = 0; visit.redraw(); }, 100);
  },
  draw: (state, visit) => [
    h("h1", null, "Events"),
    filter(visit),
    state.events.length === 0 && h("p", { class: "empty" }, "No event of the last ten minutes matches."),
    h("ol", { class: "events", reversed: true }, state.events.map((event) => h("li", { key: place(event) },
      h("details", null,
        h("summary", null, time(event.timestamp), h("b", { class: `event ${event.name.split(".")[0]}` }, event.name), h("span", { class: "mono" }, event.key ?? ""), h("span", { class: "quiet mono" }, place(event))),
        facts([["Task", event.context.task && taskLink(String(event.context.task))], ["Worker", event.context.worker && workerLink(String(event.context.worker))], ["Queue", event.context.queue && queueLink(String(event.context.queue))], ["Writer", h("code", null, `${event.writer} · ${event.seq}`)]]),
        json(event.context))))),
  ],
};

const place = (event) => `${event.partition}:${event.offset}`;

function filter({ query }) {
  const set = (event) => change({ [event.target.name]: event.target.value.trim() }, { push: true });
  const fields = [["topic", "Topic", "task, worker.expired"], ["key", "Key", "a task's id"]];
  return h("form", { class: "filter", onsubmit: (event) => event.preventDefault() },
    fields.map(([name, words, hint]) => h("label", { key: name }, h("span", null, words), h("input", { name, value: query[name] ?? "", placeholder: hint, autocomplete: "off", spellcheck: "false", onchange: set }))));
}
