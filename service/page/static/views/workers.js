// The workers, and one of them with the tasks that it holds.

import { h } from "../dom.js";
import { time } from "../times.js";
import { count, empty, facts, observer, panel, queueLink, shortId, table, taskLink } from "../words.js";
import { workerTable } from "./overview.js";

export const workers = {
  path: "workers",
  title: () => "Workers",
  group: "workers",
  nav: ["Workers", "g w"],
  async load(visit) {
    const [said, running] = await Promise.all([
      visit.get("workers", { limit: 1_000 }), visit.get("tasks", { state: "claimed", limit: 1_000 }),
    ]);
    return { workers: said.workers, held: Map.groupBy(running.tasks, (each) => each.worker) };
  },
  touches: (event) => event.name.startsWith("worker.") || event.name.startsWith("task."),
  draw: ({ workers, held }) => [h("h1", null, "Workers"), panel("All workers", workerTable(workers, held))],
};

export const worker = {
  path: "workers/:worker",
  title: ({ worker }) => `Worker ${shortId(worker)}`,
  group: "workers",
  load: (visit) => visit.get(`workers/${encodeURIComponent(visit.params.worker)}`),
  touches: (event) => event.name.startsWith("worker.") || event.name.startsWith("task."),
  draw: (found) => [
    h("h1", null, h("small", null, "Worker"), `${found.host} · ${found.pid}`,
      found.end && h("span", { class: `badge ${found.end.how === "expired" ? "warning" : ""}` }, found.end.how),
      found.overdue && h("span", { class: "badge warning" }, "silent for longer than its lease")),
    h("p", { class: "ids" }, h("code", null, found.worker)),
    facts([
      ["There since", time(found.joined_at)], found.end && ["Until", time(found.end.at)],
      found.end?.by && ["Expired by", [observer(found.end.by, found.end.by_service), found.end.by_host && ` on ${found.end.by_host}`]],
      ["Last sign of life", time(found.last_sign)], ["Lease", `${count(found.lease_ms / 1_000)} s`],
      !found.end && ["Busy", `${count(found.claims)} of ${count(found.slots)}`], ["Partitions", count(found.partitions)],
      ["Queues", found.queues === null ? "all" : found.queues.map((each) => [queueLink(each), " "])],
      Object.keys(found.selection).length > 0 && ["Settings", JSON.stringify(found.selection)],
    ]),
    panel("What it holds", found.holds.length === 0
      ? empty(found.end ? "Nothing: it has gone." : "Nothing.")
      : table("Tasks that it holds", [
        ["Task", (each) => taskLink(each.task), "mono"], ["Name", (each) => h("b", null, each.name)],
        ["Queue", (each) => queueLink(each.queue)], ["Held for", (each) => time(each.since, "since"), "number"],
      ], found.holds, (each) => each.task)),
    panel(found.end ? "What it knew" : "What it knows", found.tasks === null
      ? empty("It has not listed its tasks.")
      : h("ul", { class: "names" }, found.tasks.map((each) => h("li", { key: each }, h("code", null, each))), found.more_tasks > 0 && h("li", null, `and ${count(found.more_tasks)} more`))),
  ],
};
