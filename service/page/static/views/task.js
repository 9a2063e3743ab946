// A task's whole life: its attempts on a line of time, every event with its verdict, its chain, and why it stands so.

import { acting, confirm } from "../asking.js";
import { h } from "../dom.js";
import { link } from "../router.js";
import { may } from "../service.js";
import { absolute, reference, span, time, timeOfDay } from "../times.js";
import { count, empty, facts, json, marked, observer, panel, queueLink, shortId, state, taskLink, workerLink } from "../words.js";

const ENDS = new Set(["succeeded", "failed", "revoked"]);
const LIVE = new Set(["ready", "claimed"]);
const VERBS = {
  "task.submitted": "Submitted", "task.claimed": "Claimed", "task.succeeded": "Succeeded", "task.failed": "Failed for good",
  "task.retried": "Failed, to be tried again", "task.interrupted": "Interrupted, given back", "task.progressed": "Reported its progress",
  "task.revoked": "Revoked", "task.requeued": "Put back into the queue", "task.collected": "Result collected", "task.purged": "Purged",
  "task.lapsed": "Lapsed: its time to live was over", "task.acknowledged": "Acknowledged by hand", "task.rejected": "Rejected by hand",
  "task.rescheduled": "Rescheduled by hand", "task.noted": "Noted", "task.result_stored": "Result stored", "task.amended": "Amended",
  "worker.expired": "Its worker expired", "worker.left": "Its worker left",
};

export const task = {
  path: "tasks/:task",
  title: ({ task }) => `Task ${shortId(task)}`,
  group: "tasks",
  async load(visit) {
    const id = encodeURIComponent(visit.params.task);
    const [history, why] = await Promise.all([visit.get(`tasks/${id}/history`), visit.get(`tasks/${id}/why`)]);
    // A link of a chain has no state of its own before it is submitted.
    return { history, why, found: history.steps.length ? await visit.get(`tasks/${id}`) : null };
  },
  touches: (event, visit) => event.key === visit.params.task || event.context?.task === visit.params.task || (event.key ?? "").endsWith(visit.params.task.replace(/^…/, "")) || event.name === "worker.expired",
  draw: ({ found, history, why }, visit) => {
    if (!found) return linkToCome(history, why);
    const submission = history.steps.find((step) => step.name === "task.submitted");
    const ended = history.steps.findLast((step) => step.verdict === "accepted" && ENDS.has(step.state));
    return [
      h("div", { class: "title" },
        h("h1", null, h("small", null, "Task"), found.name, " ", state(found.state)),
        visit.moment === null && h("div", { class: "acts" },
          submission && may("submit") && h("a", { class: "button", key: "again", href: link(["submit"], { again: found.task }) }, "Run again with other arguments"),
          may("admin") && acts(found, visit))),
      h("p", { class: "ids" }, h("code", null, found.task), found.summary && h("span", null, found.summary)),
      facts([
        ["Queue", queueLink(found.queue)], ["Priority", count(found.priority)],
        ["Attempts", found.max_retries === null ? count(found.attempts) : `${count(found.attempts)} of ${count(found.max_retries + 1)}`],
        ["Submitted", time(found.submitted_at)], ["Changed", time(found.changed_at)],
        found.due > found.submitted_at && LIVE.has(found.state) && ["Due", time(found.due)],
        found.worker && ["Worker", workerLink(found.worker)],
        found.tags.length > 0 && ["Tags", found.tags.map((each) => h("a", { class: "tag", key: each, href: link(["tasks"], { tag: each }) }, each))],
      ]),
      found.progress && progress(found.progress),
      reasons(why),
      panel("Its life", lanes(history.steps, found), steps(history)),
      history.chain && panel("Its chain", chain(history.chain, found.task)),
      h("div", { class: "columns" },
        submission && panel("What it was given", given(submission.context)),
        ended && panel("What came of it", outcome(ended))),
    ];
  },
};

// What can be done with a task in its state.
function acts({ task, name, state: now }, visit) {
  const offer = (path, verb, words, isDanger) => h("button", { key: verb, type: "button", class: isDanger ? "danger" : "", onclick: () => confirm({
    title: `${verb} ${name} ${shortId(task)}?`, words, verb, isDanger, act: acting(`${path}/${encodeURIComponent(task)}/${verb.toLowerCase()}`), after: visit.reload,
  }) }, verb);
  if (now === "failed") {
    return [
      offer("dead-letters", "Requeue", "It runs again, its attempts forgotten."),
      offer("dead-letters", "Purge", "It is given up for good and cannot be requeued. Its history stays.", true),
    ];
  }
  return LIVE.has(now) && offer("tasks", "Revoke", now === "claimed" ? "Its worker stops it, if it can be stopped; it does not run again." : "It does not run.", true);
}

function linkToCome({ task, chain: { tasks } }, why) {
  const link = tasks.find((each) => each.id === task);
  return [
    h("h1", null, h("small", null, "Link of a chain"), link?.name ?? task, " ", state(link?.state ?? "unknown")),
    h("p", { class: "ids" }, h("code", null, task)),
    reasons(why),
    panel("Its chain", chain({ tasks }, task)),
  ];
}

function progress({ done, total, text }) {
  const words = [total ? `${count(done)} of ${count(total)}` : done !== undefined && count(done), text].filter(Boolean).join(" · ");
  return h("p", { class: "progress" }, total > 0 && h("progress", { max: total, value: done ?? 0, "aria-label": "Progress" }), words);
}

function reasons({ findings }) {
  return findings.length > 0 && h("ul", { class: "findings" }, findings.map((each, index) => h("li", { key: `${each.code}${index}` }, marked(each.sentence))));
}

// The spans of a task's life: waiting, running by a worker, and between two attempts.
function spansOf(steps, found) {
  const spans = [];
  let open = null;
  const close = (at, end) => {
    if (open) spans.push({ ...open, end: at, outcome: end });
    open = null;
  };
  let attempt = 0;
  for (const step of steps) {
    if (step.verdict !== "accepted") continue;
    if (step.state === "claimed" && step.name === "task.claimed") {
      close(step.timestamp);
      attempt += 1;
      open = { kind: "run", begin: step.timestamp, worker: step.worker, host: step.host, attempt };
    } else if (step.state === "ready" && open?.kind !== "wait") {
      close(step.timestamp, step.name);
      open = { kind: "wait", begin: step.timestamp };
    } else if (ENDS.has(step.state)) close(step.timestamp, step.name);
  }
  if (open && LIVE.has(found.state)) close(Math.max(reference(), open.begin), null);
  return spans;
}

const OUTCOME_KINDS = { "task.succeeded": "succeeded", "task.failed": "failed", "task.retried": "retried", "task.revoked": "revoked", "worker.expired": "failed" };

function lanes(steps, found) {
  const spans = spansOf(steps, found);
  if (!spans.length) return null;
  const begin = spans[0].begin;
  const whole = Math.max(spans.at(-1).end - begin, 0.001);
  // Very short spans get a width that can be seen; the others share the rest.
  const widths = spans.map((each) => Math.max((each.end - each.begin) / whole, 0.02));
  const sum = widths.reduce((one, other) => one + other, 0);
  return h("ol", { class: "lanes", "aria-label": "Waiting and attempts, from the submission to the end" }, spans.map((each, index) => {
    const long = span(each.end - each.begin);
    const words = each.kind === "wait" ? `waited ${long}` : `attempt ${each.attempt}${each.worker ? ` on ${shortId(each.worker)}` : ""}: ${long}`;
    const kind = each.kind === "wait" ? "wait" : `run ${each.outcome ? (OUTCOME_KINDS[each.outcome] ?? "given-back") : "claimed"}`;
    return h("li", { key: index, class: kind, style: { "flex-grow": String(widths[index] / sum) }, title: `${words}\n${timeOfDay(each.begin)} – ${each.outcome === null ? "now" : timeOfDay(each.end)}` },
      h("span", { class: "unseen" }, words), widths[index] / sum > 0.055 && h("span", { class: "long", "aria-hidden": "true" }, each.kind === "wait" ? long : `${each.attempt}. ${long}`));
  }));
}

function steps({ steps, is_truncated: truncated, unreadable }) {
  if (!steps.length) return empty("It is not submitted yet.");
  return [
    truncated && h("p", { class: "note", key: "cut" }, "Retention has removed its first events."),
    unreadable > 0 && h("p", { class: "note", key: "bad" }, `${unreadable} damaged records are left out.`),
    h("ol", { class: "steps", key: "steps" }, steps.map((step) => {
      const refused = step.verdict !== "accepted";
      return h("li", { key: step.position, class: `${refused ? "refused" : ""} ${step.name.replace(".", "-")}` },
        h("span", { class: "when" }, h("time", { datetime: new Date(step.timestamp * 1_000).toISOString(), title: absolute(step.timestamp) }, timeOfDay(step.timestamp)),
          step.since_previous_ms !== null && h("small", null, `+${span(step.since_previous_ms / 1_000)}`)),
        h("span", { class: "what" },
          h("b", null, VERBS[step.name] ?? step.name), refused && h("span", { class: "badge refused" }, "refused"),
          step.worker && [step.name.startsWith("worker.") ? " " : " by ", workerLink(step.worker), step.host && h("span", { class: "quiet" }, ` on ${step.host}`)],
          step.reason && h("span", { class: "reason" }, step.reason),
          said(step)),
        h("span", { class: "place" }, state(step.state), h("span", { class: "mono quiet", title: "Its position in the log" }, step.position)));
    })),
  ];
}

function said({ name, context }) {
  const error = context?.exception ?? context?.error;
  if (error && typeof error === "object") return h("span", { class: "error" }, `${error.name ?? "Error"}: ${error.text ?? ""}`);
  if (name === "task.progressed" && context?.progress) return h("span", { class: "quiet aside" }, JSON.stringify(context.progress));
  const by = context?.by;
  if (!by) return null;
  return name === "worker.expired" ? h("span", { class: "quiet aside" }, "noticed by ", observer(by, context.service)) : h("span", { class: "quiet aside" }, `by ${by}`, context.reason && `: ${context.reason}`);
}

function given(context) {
  const { args, kwargs } = context;
  return [
    args !== undefined || kwargs !== undefined ? json({ args: args ?? [], kwargs: kwargs ?? {} }) : null,
    h("details", { key: "all" }, h("summary", null, "The whole message"), json(context)),
  ];
}

function outcome({ context }) {
  const error = context?.exception ?? context?.error;
  if (error && typeof error === "object") {
    return [h("p", { class: "error", key: "error" }, h("b", null, error.name), `: ${error.text}`), error.traceback && h("pre", { class: "traceback", key: "trace", tabindex: "0" }, error.traceback)];
  }
  return json(context?.result ?? context);
}

function chain({ tasks }, here) {
  return h("ol", { class: "chain" }, tasks.map((each) => h("li", { key: each.id, "aria-current": each.id === here ? "step" : null },
    h("b", null, each.name ?? "?"), " ", each.id === here ? h("span", { class: "quiet" }, "this task") : taskLink(each.id), " ", state(each.state))));
}
