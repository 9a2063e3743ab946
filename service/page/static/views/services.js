// The services whose listeners take jobs (TopChef), and one with its jobs, which are tasks of its queue.

import { h } from "../dom.js";
import { link } from "../router.js";
import { time, reference } from "../times.js";
import { count, empty, facts, json, panel, queueLink, shortId, table } from "../words.js";
import { taskList } from "./queues.js";

const touches = (event) => event.name.startsWith("service.") || event.name.startsWith("task.");

async function all(visit) {
  const [{ services: found }, { queues }] = await Promise.all([visit.get("services", { limit: 1_000 }), visit.get("queues", { limit: 1_000 })]);
  const depths = new Map(queues.map((each) => [each.name, each]));
  return found.map((each) => ({ ...each, depth: depths.get(each.queue) }));
}

export const services = {
  path: "services",
  title: () => "Services",
  group: "services",
  nav: ["Services", "g v"],
  load: all,
  touches,
  draw: (found) => [
    h("h1", null, "Services and their jobs"),
    panel("All services", found.length === 0
      ? empty("None. A listener registers a service, and runs its jobs: see TopChef in the documentation.")
      : table("Services", [
        ["Service", (each) => h("a", { href: link(["services", each.service]), title: each.service }, each.name || shortId(each.service)), "name"],
        ["What it does", (each) => each.description, "wide"], ["Listener", (each) => presence(each)],
        ["Waiting", (each) => count((each.depth?.ready ?? 0) + (each.depth?.delayed ?? 0)), "number"], ["Running", (each) => count(each.depth?.claimed ?? 0), "number"],
        ["Failed", (each) => count(each.depth?.dead ?? 0), "number"], ["Checked in", (each) => time(each.checked_in_at), "number"],
      ], found, (each) => each.service)),
  ],
};

const STATES = [["ready", "Waiting"], ["claimed", "Running"], ["failed", "Failed"], ["succeeded", "Completed"]];

export const service = {
  path: "services/:service",
  title: ({ service }) => `Service ${shortId(service)}`,
  group: "services",
  async load(visit) {
    const found = (await all(visit)).find((each) => each.service === visit.params.service) ?? null;
    const shown = visit.query.state ?? "ready";
    visit.state.get = visit.get;
    if (found) await (visit.state.list ??= taskList(visit, { queue: found.queue, state: shown })).begin();
    return { found, shown, list: visit.state.list };
  },
  touches,
  draw: ({ found, shown, list }, visit) => found === null
    ? [h("h1", null, h("small", null, "Service"), visit.params.service), empty("It was not registered at the moment that is shown.")]
    : [
      h("h1", null, h("small", null, "Service"), found.name, " ", presence(found)),
      h("p", { class: "ids" }, h("code", null, found.service), h("span", null, found.description)),
      facts([
        ["Queue of its jobs", queueLink(found.queue)], ["Registered", time(found.registered_at)], ["Checked in", time(found.checked_in_at)],
        ["Time-out", `${count(found.timeout)} s`],
      ]),
      h("div", { class: "columns" }, panel("What a job is given", json(found.job_registration_schema)), panel("What it returns", json(found.job_result_schema))),
      h("nav", { class: "tabs", "aria-label": "Jobs of the service" }, STATES.map(([name, words]) => h("a", {
        key: name, href: link(["services", found.service], { state: name }), "aria-current": shown === name ? "true" : null,
      }, words))),
      list.element(),
    ],
};

function presence({ available, checked_in_at: seen, timeout }) {
  if (!available) return h("span", { class: "state revoked" }, "not available");
  return reference() - seen > 2 * timeout ? h("span", { class: "state retried" }, "silent") : h("span", { class: "state succeeded" }, "available");
}
