// The commands on many tasks: how far each has come, who asked for it and why.

import { acting, confirm } from "../asking.js";
import { h } from "../dom.js";
import { link } from "../router.js";
import { may } from "../service.js";
import { absolute, time } from "../times.js";
import { count, empty, facts, panel, shortId, table, taskLink } from "../words.js";

const VERBS = { requeue: "Requeue", purge: "Purge", revoke: "Revoke" };
const MOMENTS = new Set(["since", "until", "failed_since", "failed_until"]);
const FIELDS = {
  name: "Name", queue: "Queue", state: "State", tag: "Tag", argument: "Argument", worker: "Worker", exception: "Text of the error", tasks: "Tasks",
  since: "Submitted since", until: "Submitted until", failed_since: "Failed since", failed_until: "Failed until",
};
const isLive = ({ state }) => state === "running" || state === "stopping";

export const commands = {
  path: "commands",
  title: () => "Commands",
  group: "commands",
  nav: ["Commands", "g c"],
  load: (visit) => visit.get("commands", { limit: 1_000 }),
  touches: (event) => event.name.startsWith("command."),
  draw: ({ commands: found }, visit) => [
    h("h1", null, "Commands"),
    panel(`On many tasks, of the ${visit.moment === null ? "last day" : "day before"}`, found.length === 0
      ? empty("None. A command acts on all tasks that match a filter; it begins in the lists of tasks and of dead letters.")
      : table("Commands", [
        ["Command", (each) => h("a", { href: link(["commands", each.command]), title: each.command }, VERBS[each.action] ?? each.action, " ", h("span", { class: "mono" }, shortId(each.command))), "name"],
        ["State", (each) => word(each)], ["Done", (each) => `${count(each.done)} of ${count(each.matched)}`, "number"],
        ["By", (each) => each.by], ["Reason", (each) => each.reason ?? "–"], ["Started", (each) => time(each.started_at), "number"],
      ], found, (each) => each.command)),
  ],
};

export const command = {
  path: "commands/:command",
  title: ({ command }) => `Command ${shortId(command)}`,
  group: "commands",
  load: (visit) => visit.get(`commands/${encodeURIComponent(visit.params.command)}`),
  touches: (event, visit) => event.key === visit.params.command,
  draw: (found, visit) => [
    h("div", { class: "title" },
      h("h1", null, h("small", null, "Command"), VERBS[found.action] ?? found.action, " ", word(found)),
      may("admin") && visit.moment === null && isLive(found) && h("div", { class: "acts" }, h("button", { type: "button", class: "danger", onclick: () => confirm({
        title: "Stop this command?", words: "What it has done stays done.", verb: "Stop", isDanger: true,
        act: acting(`commands/${encodeURIComponent(found.command)}/stop`), after: visit.reload,
      }) }, "Stop"))),
    h("p", { class: "ids" }, h("code", null, found.command)),
    h("p", { class: "progress" }, h("progress", { max: Math.max(found.matched, 1), value: found.done, "aria-label": "Progress" }), `${count(found.done)} of ${count(found.matched)} tasks`),
    facts([
      ["Changed", count(found.changed)], ["In vain, as they had moved on", count(found.in_vain)], ["Tasks a second, at most", count(found.rate)],
      ["By", found.by], found.reason && ["Reason", found.reason], ["Started", time(found.started_at)],
      ["Last heard of", time(found.seen_at)], found.stopping_by && ["Stopped by", found.stopping_by], found.error && ["Error", found.error],
    ]),
    found.state === "abandoned" && h("p", { class: "note" }, "Its service has gone. What it has done is done; start it again for the rest."),
    panel("Which tasks", facts(Object.entries(found.filter).map(([name, value]) => [FIELDS[name] ?? name, MOMENTS.has(name) ? absolute(value) : Array.isArray(value) ? value.map((each) => [taskLink(each), " "]) : String(value)])),
      Object.keys(found.filter).length === 0 && empty("All that it can change.")),
  ],
};

const TONES = { done: "succeeded", running: "claimed", stopping: "retried", stopped: "revoked", interrupted: "retried", abandoned: "retried", failed: "failed" };
const word = ({ state }) => h("span", { class: `state ${TONES[state] ?? ""}` }, state);
