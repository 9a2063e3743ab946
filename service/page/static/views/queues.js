// The queues, and one of them with its tasks.

import { acting, confirm } from "../asking.js";
import { h } from "../dom.js";
import { List } from "../list.js";
import { link } from "../router.js";
import { may } from "../service.js";
import { reference, time } from "../times.js";
import { known, trends } from "../trends.js";
import { count, facts, panel, state, taskLink, workerLink } from "../words.js";
import { charts, IDLE, queueTable } from "./overview.js";

export const queues = {
  path: "queues",
  title: () => "Queues",
  group: "queues",
  nav: ["Queues", "g q"],
  async load(visit) {
    trends(visit);
    return visit.get("queues", { limit: 1_000 });
  },
  touches: (event) => event.name.startsWith("task.") || event.name.startsWith("queue.") || event.name.startsWith("worker."),
  draw: (said, visit) => [h("h1", null, "Queues"), panel("All queues", queueTable(said.queues, said.as_of, known(visit)))],
};

const SHOWN = [
  ["ready", "Waiting", (line) => line.ready + line.delayed], ["claimed", "Running", (line) => line.claimed],
  ["failed", "Dead letters", (line) => line.dead],
];

export const queue = {
  path: "queues/:queue",
  title: ({ queue }) => `Queue ${queue}`,
  group: "queues",
  async load(visit) {
    const { queue } = visit.params;
    const shown = visit.query.state ?? "ready";
    const list = (visit.state.list ??= taskList(visit, { queue, state: shown }));
    visit.state.get = visit.get;
    trends(visit, { queue });
    const [line] = await Promise.all([lineOf(visit, queue), list.begin()]);
    return { line, list, shown, at: reference() };
  },
  touches: (event) => event.name.startsWith("task.") || event.name.startsWith("queue.") || event.name === "worker.joined" || event.name === "worker.left" || event.name === "worker.expired",
  draw: ({ line, list, shown, at }, visit) => [
    h("div", { class: "title" },
      h("h1", null, h("small", null, "Queue"), line.name, line.paused_since !== null && h("span", { class: "badge" }, "paused ", time(line.paused_since))),
      may("admin") && visit.moment === null && pauseButton(line, visit)),
    facts([
      ["Ready", count(line.ready)], ["Running", count(line.claimed)], ["Delayed", count(line.delayed)], ["Workers", count(line.workers)],
      ["Oldest has waited", line.oldest_seconds === null ? "–" : time(at - line.oldest_seconds, "since")],
    ]),
    charts(known(visit), true),
    h("nav", { class: "tabs", "aria-label": "Tasks of the queue" }, SHOWN.map(([name, words, number]) => h("a", {
      key: name, href: link(["queues", line.name], { state: name }), "aria-current": shown === name ? "true" : null,
    }, words, h("span", { class: "amount" }, count(number(line)))))),
    list.element(),
  ],
};

// A queue without tasks and pauses has no line; among very many queues it is asked for by its name.
async function lineOf(visit, name) {
  const { queues, next } = await visit.get("queues", { limit: 1_000 });
  const found = queues.find((each) => each.name === name);
  return found ?? (next ? visit.get(`queues/${encodeURIComponent(name)}`) : { ...IDLE, name });
}

function pauseButton({ name, paused_since: since }, visit) {
  const paused = since !== null;
  return h("button", { type: "button", onclick: () => confirm({
    title: `${paused ? "Resume" : "Pause"} the queue ${name}?`,
    words: paused ? "Workers claim its tasks again." : "No worker claims its tasks until it is resumed; those that run go on.",
    verb: paused ? "Resume" : "Pause", act: acting(`queues/${encodeURIComponent(name)}/${paused ? "resume" : "pause"}`), after: visit.reload,
  }) }, paused ? "Resume" : "Pause");
}

// A list of tasks with a filter; it asks about the moment that is shown.
export function taskList(visit, filter) {
  return new List({
    label: "Tasks",
    columns: [
      ["Task", (task) => taskLink(task.task), "mono", "8.5rem"],
      ["Name", (task) => [h("b", null, task.name), task.summary && h("span", { class: "quiet" }, " ", task.summary)], "wide", "minmax(10rem, 3fr)"],
      ["State", (task) => state(task.state === "ready" && task.due > (reference()) ? "delayed" : task.state), "", "8rem"],
      filter.queue ? null : ["Queue", (task) => h("a", { href: link(["queues", task.queue]) }, task.queue), "", "minmax(6rem, 1fr)"],
      ["Tags", (task) => task.tags.map((each) => h("a", { class: "tag", key: each, href: link(["tasks"], { tag: each }) }, each)), "tags", "minmax(4rem, 1fr)"],
      ["Worker", (task) => (task.worker ? workerLink(task.worker) : "–"), "mono", "8.5rem"],
      ["Tries", (task) => count(task.attempts), "number", "3.5rem"],
      ["Submitted", (task) => time(task.submitted_at), "number", "8.25rem"],
      ["Changed", (task) => time(task.changed_at), "number", "8.25rem"],
    ].filter(Boolean),
    keyOf: (task) => task.task,
    none: "No task matches.",
    fetch: async (cursor) => {
      const { tasks, next } = await visit.state.get("tasks", { ...filter, cursor, limit: 200 });
      return { items: tasks, next };
    },
  });
}
