// The events, the newest first, by a filter; live ones arrive by the service's own stream.

import { h } from "../dom.js";
import { filterForm } from "../filter.js";
import { List } from "../list.js";
import { link } from "../router.js";
import { time } from "../times.js";
import { json, observer, shortId, taskLink, workerLink } from "../words.js";

const FIELDS = [["topic", "Topic", "task, worker.expired"], ["key", "Key", "the id of a task"]];

export const events = {
  path: "events",
  title: () => "Events",
  group: "events",
  nav: ["Events", "g e"],
  async load(visit) {
    const { topic, key } = visit.query;
    visit.state.get = visit.get;
    visit.state.list ??= new List({
      label: "Events",
      columns: [
        ["When", (event) => time(event.timestamp), "", "7rem"],
        ["Event", (event) => h("b", { class: `event ${event.name.split(".")[0]}` }, event.name), "", "11.5rem"],
        ["Subject", (event) => subject(event), "mono", "9rem"],
        ["What it says", (event) => h("button", { type: "button", class: "words", title: "Show the whole event", onclick: () => open(visit, event) }, words(event)), "wide", "minmax(14rem, 1fr)"],
        ["Position", (event) => h("span", { class: "mono quiet" }, place(event)), "number", "6rem"],
      ],
      keyOf: place,
      none: "No event matches.",
      fetch: async (cursor) => {
        const { events, next } = await visit.state.get("events/latest", { topic, key, cursor, limit: 200 });
        return { items: events, next };
      },
    });
    await visit.state.list.begin();
    return visit.state;
  },
  touches: (event, { query: { topic, key } }) =>
    (!topic || event.name === topic || event.name.startsWith(`${topic}.`)) && (!key || event.key === key),
  draw: ({ list, opened }, visit) => [h("h1", null, "Events"), filterForm(FIELDS, visit, "events"), list.element(), opened && whole(visit, opened)],
};

const place = (event) => `${event.partition}:${event.offset}`;

function subject({ name, key, context }) {
  if (context.task) return taskLink(String(context.task));
  if (name === "worker.beat" && context.service) return observer(String(context.worker), true);
  if (name.startsWith("worker.") && context.worker) return workerLink(String(context.worker));
  return key === null ? "" : h("a", { href: link(["events"], { key }), title: key }, shortId(key));
}

// The most telling fields of an event in one line.
function words({ context }) {
  const error = context.exception ?? context.error;
  if (error?.name) return `${error.name}: ${error.text}`;
  if (context.task_name) return `${context.task_name} in ${context.queue ?? "default"}${context.args?.length ? ` · ${JSON.stringify(context.args)}` : ""}`;
  if (context.host) return `${context.host} · ${context.pid}`;
  const { task, worker, claim, ...rest } = context;
  const more = Object.keys(rest).length ? JSON.stringify(rest) : "";
  return [worker && task && `worker ${shortId(worker)}`, more].filter(Boolean).join(" · ") || "…";
}

function open(visit, event) {
  visit.state.opened = event;
  visit.redraw();
}

function whole(visit, event) {
  return h("dialog", { key: "event", class: "wide", "aria-labelledby": "event-title", onmount: (node) => node.showModal(), onclose: () => open(visit, null) },
    h("h2", { id: "event-title" }, event.name, " ", h("span", { class: "mono quiet" }, place(event)), " ", time(event.timestamp)),
    json(event),
    h("form", { method: "dialog" }, h("button", null, "Close")));
}

