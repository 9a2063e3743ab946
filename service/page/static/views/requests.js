// The requests of web servers that the journal tracks: what runs, and what has ended last.

import { h } from "../dom.js";
import { span, time, reference } from "../times.js";
import { count, empty, panel, table } from "../words.js";

export const requests = {
  path: "requests",
  title: () => "Requests",
  group: "requests",
  nav: ["Requests", "g r"],
  load: (visit) => visit.get("requests"),
  touches: (event) => event.name.startsWith("request."),
  draw: ({ active, active_in_all: all, completed }) => [
    h("h1", null, "Requests of web servers"),
    panel(`Running now: ${count(all)}`, active.length === 0 ? empty("None.") : table("Running requests", [
      ...COLUMNS, ["Runs for", ({ task }) => time(seconds(task.started_at), "since"), "number"],
    ], active, keyOf), all > active.length && h("p", { class: "quiet" }, `The oldest ${count(active.length)} are shown.`)),
    panel("Ended last", completed.length === 0
      ? empty("None. A web server records its requests with the middleware of journeyman.top.")
      : table("Ended requests", [
        ...COLUMNS, ["Status", ({ task }) => status(task), "number"],
        ["Took", ({ task }) => span(Math.max(0, (seconds(task.ended_at) ?? reference()) - seconds(task.started_at))), "number"],
        ["Ended", ({ task }) => time(seconds(task.ended_at)), "number"],
      ], completed, keyOf)),
  ],
};

const keyOf = ({ instance, request }) => `${instance}/${request}`;
const seconds = (text) => (text ? Date.parse(text) / 1_000 : null);

const COLUMNS = [
  ["Request", ({ task }) => [h("b", null, task.method ?? task.task_name ?? "–"), " ", h("span", { class: "mono" }, task.path ?? task.uri ?? "")], "wide"],
  ["Server", ({ instance, task }) => [instance, task.host_name && h("span", { class: "quiet" }, ` ${task.host_name}${task.process_id ? ` · ${task.process_id}` : ""}`)]],
  ["Client", ({ task }) => task.client_ip_address ?? "–"],
];

function status(task) {
  if (task.recorded_successfully === false) return h("span", { class: "badge warning" }, "not recorded");
  const code = task.status_code;
  return code === undefined ? "–" : h("span", { class: code >= 500 ? "error" : code >= 400 ? "reason" : "" }, String(code));
}
