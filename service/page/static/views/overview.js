// The overview: the queues with their depths, the workers with what they run, and what needs attention.

import { bars, lines, shares, spark } from "../chart.js";
import { h } from "../dom.js";
import { link } from "../router.js";
import { hourMinute, span, time } from "../times.js";
import { known, trends } from "../trends.js";
import { count, empty, panel, plural, queueLink, table, taskLink, workerLink } from "../words.js";

const RUNNING_SHOWN = 200;
const HELD_SHOWN = 3;

export const overview = {
  path: "",
  title: () => "Overview",
  nav: ["Overview", "g o"],
  async load(visit) {
    const [status, running] = await Promise.all([visit.get("status"), visit.get("tasks", { state: "claimed", limit: RUNNING_SHOWN })]);
    trends(visit); // behind the rest: reading the hour takes the service a while at first
    return { status, held: Map.groupBy(running.tasks, (each) => each.worker) };
  },
  touches: (event) => !event.name.startsWith("lock.") && event.name !== "task.noted",
  draw: ({ status, held }, visit) => {
    const over = known(visit);
    return [
      h("h1", { class: "unseen" }, "Overview"),
      figures(status, over),
      charts(over),
      attention(status),
      panel("Queues", queueTable(status.queues, status.as_of, over)),
      h("div", { class: "columns" },
        panel("Workers", workerTable(status.workers, held)),
        panel("Refused and expired", refusals(status.totals, over))),
    ];
  },
};

function figures({ totals }, over) {
  const latency = over?.total.latency;
  const shown = [
    ["Ready", totals.ready, "ready", link(["tasks"], { state: "ready" })],
    ["Running", totals.claimed, "claimed", link(["tasks"], { state: "claimed" })],
    ["Delayed", totals.delayed, "delayed", link(["tasks"], { state: "ready" })],
    ["Dead letters", totals.dead, "failed", link(["dead-letters"])],
    ["Succeeded", totals.succeeded, "succeeded", link(["tasks"], { state: "succeeded" })],
  ];
  return h("ul", { class: "figures" },
    shown.map(([name, number, kind, href]) => h("li", { key: name }, h("a", { href, class: `figure ${kind} ${number ? "" : "zero"}` }, h("span", { class: "number" }, count(number)), h("span", { class: "name" }, name)))),
    h("li", { key: "latency" }, h("span", { class: `figure ${latency?.p50 ? "" : "zero"}`, title: "From submission to success, in the last hour" },
      h("span", { class: "number" }, span(latency?.p50)), h("span", { class: "name" }, "Median latency"))));
}

const NO_SERIES = { submitted: [], succeeded: [], failed: [], retried: [], latency: { p50: [], p95: [] } };
const NO_TRENDS = { total: { over_time: NO_SERIES, latency: {} }, ends: [], bucket_seconds: 60 };

// The charts of all queues, or of the first one that `over` names; empty ones, of the same size, before it has come.
export function charts(over, ofOne = false) {
  const { total, queues, ends, bucket_seconds: width } = over ?? NO_TRENDS;
  const of = ofOne && over ? queues[0] : total;
  const { submitted, succeeded, failed, retried, latency } = of.over_time;
  const when = (index) => `${hourMinute(ends[index] - width)}–${hourMinute(ends[index])}`;
  const sum = (values) => values.reduce((one, other) => one + other, 0);
  return h("div", { class: "charts" },
    bars({
      title: "Finished a minute", ends, words: `${plural(sum(succeeded), "task")} succeeded, ${count(sum(failed))} failed and ${count(sum(retried))} were tried again within the window; ${count(sum(submitted))} were submitted.`,
      series: [["succeeded", succeeded, "succeeded"], ["tried again", retried, "retried"], ["failed", failed, "failed"]],
      unit: (value) => count(Math.round(value * 10) / 10),
      tip: (index) => `${when(index)}: ${succeeded[index]} succeeded, ${retried[index]} tried again, ${failed[index]} failed, ${submitted[index]} submitted`,
    }),
    lines({
      title: "From submission to success", ends, words: `Latency: median ${span(of.latency.p50)}, 95th percentile ${span(of.latency.p95)}.`,
      series: [["median", latency.p50, "p50"], ["p95", latency.p95, "p95"]],
      unit: (value) => span(value),
      tip: (index) => `${when(index)}: median ${span(latency.p50[index])}, p95 ${span(latency.p95[index])}`,
    }));
}

function attention({ waiting_for_nobody: orphans, newest_dead_letters: letters, clocks }) {
  const lines = [
    ...orphans.map((each) => h("li", { key: `${each.task}/${each.queue}`, class: "warning" },
      `${plural(each.waiting, "task")} ${each.task} in `, queueLink(each.queue), each.waiting === 1 ? " waits" : " wait",
      " for a worker: none that is there runs it.")),
    ...clocks.map((said) => h("li", { key: said, class: "warning" }, said)),
    ...letters.slice(0, 5).map((each) => h("li", { key: each.id, class: "letter" },
      h("span", { class: "state failed" }, "dead letter"), " ", h("b", null, each.task), " ", taskLink(each.id), " in ", queueLink(each.queue), " ", time(each.failed_at))),
  ];
  return lines.length > 0 && h("section", { class: "panel attention" }, h("h2", null, "Needs attention"), h("ul", null, lines));
}

export const IDLE = { ready: 0, delayed: 0, claimed: 0, dead: 0, oldest_seconds: null, workers: null, paused_since: null };

export function queueTable(queues, as_of, over) {
  const series = new Map((over?.queues ?? []).map((each) => [each.queue, each]));
  // A queue without tasks stands in the trends as long as it had some in the last hour.
  const named = new Set(queues.map((each) => each.name));
  const idle = [...series.keys()].filter((name) => !named.has(name)).map((name) => ({ ...IDLE, name }));
  const shown = [...queues, ...idle].sort((one, other) => (one.name < other.name ? -1 : 1));
  if (!shown.length) return empty("No queue yet: one is there as soon as a task is submitted to it.");
  const words = (queue) => `${count(queue.ready)} ready, ${count(queue.delayed)} delayed, ${count(queue.claimed)} running`;
  return table("Queues", [
    ["Queue", (queue) => [queueLink(queue.name), queue.paused_since !== null && h("span", { class: "badge" }, "paused ", time(queue.paused_since))], "name"],
    [h("span", { class: "unseen" }, "Depth"), (queue) => shares([["ready", queue.ready, "ready"], ["running", queue.claimed, "claimed"], ["delayed", queue.delayed, "delayed"]], words(queue)), "depth"],
    ["Ready", (queue) => count(queue.ready), "number"],
    ["Running", (queue) => count(queue.claimed), "number"],
    ["Delayed", (queue) => count(queue.delayed), "number"],
    ["Dead", (queue) => (queue.dead ? h("a", { href: link(["dead-letters"], { queue: queue.name }) }, count(queue.dead)) : "0"), "number"],
    ["Oldest", (queue) => (queue.oldest_seconds === null ? "–" : time(as_of - queue.oldest_seconds, "since")), "number"],
    ["Workers", (queue) => count(queue.workers), "number"],
    ["Last hour", (queue) => hourOf(series.get(queue.name)), "trend"],
    ["p95", (queue) => span(series.get(queue.name)?.latency.p95), "number"],
  ], shown, (queue) => queue.name);
}

function hourOf(found) {
  if (!found) return "–";
  const { succeeded } = found.over_time;
  return spark(succeeded.slice(0, -1), `${plural(found.counts.succeeded, "task")} succeeded in the last hour`, "succeeded");
}

export function workerTable(workers, held) {
  if (!workers.length) return empty("No worker is there. ", h("code", null, "journeyman worker MODULE"), " starts one.");
  return table("Workers", [
    ["Worker", (worker) => [workerLink(worker.worker), worker.overdue && h("span", { class: "badge warning" }, "silent")], "name"],
    ["Where", (worker) => `${worker.host} · ${worker.pid}`, "quiet"],
    ["Runs", (worker) => runs(worker, held.get(worker.worker) ?? []), "wide"],
    ["Busy", (worker) => `${count(worker.claims)} / ${count(worker.slots)}`, "number"],
    ["Last sign", (worker) => time(worker.last_sign), "number"],
  ], workers, (worker) => worker.worker);
}

function runs(worker, tasks) {
  if (!tasks.length) return h("span", { class: "none" }, "idle");
  const shown = tasks.slice(0, HELD_SHOWN).map((each) => h("span", { class: "held", key: each.task }, h("a", { href: link(["tasks", each.task]), title: each.task }, each.name), " ", time(each.changed_at, "since")));
  const more = worker.claims - shown.length;
  return [shown, more > 0 && h("a", { class: "quiet", href: link(["workers", worker.worker]) }, `${count(more)} more`)];
}

function refusals(totals, over) {
  const lines = [
    ["Late outcomes refused", totals.stale_outcomes, "A worker reported a task that was no longer its own; the claim's token refused it.", over?.total.over_time.stale_outcomes],
    ["Claims lost", totals.lost_claims, "Two workers claimed a task, and the first in the log got it.", over?.total.over_time.lost_claims],
    ["Takeovers", totals.takeovers, "A worker fell silent for its lease; its tasks went to others.", over?.expired_over_time],
    ["Unreadable records", totals.unreadable, "Records of the log that are not events.", null],
  ];
  return h("dl", { class: "tally" }, lines.map(([name, number, words, values]) => h("div", { key: name },
    h("dt", null, name, h("small", null, words)),
    h("dd", null, values ? spark(values, `${name} in the last hour`, "refused") : null, h("span", { class: "number" }, count(number))))));
}
