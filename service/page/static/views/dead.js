// The dead letters by a filter, and one with its attempts and their tracebacks.

import { bulk } from "../bulk.js";
import { acting, confirm } from "../asking.js";
import { h } from "../dom.js";
import { filterForm, filterOf } from "../filter.js";
import { List } from "../list.js";
import { go, link } from "../router.js";
import { may } from "../service.js";
import { span, time } from "../times.js";
import { count, empty, facts, json, panel, queueLink, shortId, taskLink, workerLink } from "../words.js";

const FIELDS = [
  ["task", "Name", ""], ["queue", "Queue", ""], ["exception", "Text of the error", "TimeoutError"], ["tag", "Tag", ""],
  ["since", "Failed since", "10m, 14:05"], ["until", "Failed until", "10m, 14:05"],
];
const MOVES = new Set(["task.failed", "task.rejected", "task.requeued", "task.purged", "worker.expired"]);
const REQUEUED = "They run again, their attempts forgotten.";
const PURGED = "They are given up for good and cannot be requeued. Their history stays.";

// The same filter as a command takes it.
const forCommand = ({ task, since, until, ...others }) => ({ ...others, name: task, failed_since: since, failed_until: until });

export const deadLetters = {
  path: "dead-letters",
  title: () => "Dead letters",
  group: "dead-letters",
  nav: ["Dead letters", "g d"],
  async load(visit) {
    const list = (visit.state.list ??= letters(visit, filterOf(FIELDS, visit.query)));
    visit.state.get = visit.get;
    await list.begin();
    return { list };
  },
  touches: (event) => MOVES.has(event.name),
  draw: ({ list }, visit) => [
    h("div", { class: "title" }, h("h1", null, "Dead letters"),
      may("admin") && visit.moment === null && h("div", { class: "acts" },
        h("button", { type: "button", key: "requeue", onclick: () => bulk({ action: "requeue", verb: "Requeue", things: "dead letters", words: REQUEUED, filter: forCommand(filterOf(FIELDS, visit.query)) }) }, "Requeue all that match"),
        h("button", { type: "button", key: "purge", class: "danger", onclick: () => bulk({ action: "purge", verb: "Purge", things: "dead letters", words: PURGED, filter: forCommand(filterOf(FIELDS, visit.query)), isDanger: true }) }, "Purge all that match"))),
    filterForm(FIELDS, visit, "dead-letters"),
    list.element(),
  ],
};

function letters(visit, filter) {
  return new List({
    label: "Dead letters",
    columns: [
      ["Task", (letter) => h("a", { class: "mono", href: link(["dead-letters", letter.id]), title: letter.id }, shortId(letter.id)), "mono", "8.5rem"],
      ["Name", (letter) => [h("b", null, letter.task), letter.summary && h("span", { class: "quiet" }, " ", letter.summary)], "wide", "minmax(9rem, 1fr)"],
      ["Queue", (letter) => queueLink(letter.queue), "", "minmax(5rem, 0.5fr)"],
      ["Error", (letter) => h("span", { class: "error", title: letter.error }, letter.error ?? "–"), "wide", "minmax(14rem, 3fr)"],
      ["Tags", (letter) => letter.tags.map((each) => h("a", { class: "tag", key: each, href: link(["dead-letters"], { tag: each }) }, each)), "tags", "minmax(3rem, 0.6fr)"],
      ["Tries", (letter) => count(letter.attempts), "number", "3.5rem"],
      ["Failed", (letter) => time(letter.failed_at), "number", "7.5rem"],
    ],
    keyOf: (letter) => letter.id,
    none: "No dead letter matches.",
    fetch: async (cursor) => {
      const { dead_letters: items, next } = await visit.state.get("dead-letters", { ...filter, cursor, limit: 200 });
      return { items, next };
    },
  });
}

const LEFT = new Set(["task.requeued", "task.purged"]);
const isOf = (event, { params: { task } }) => event.key === task || event.context?.task === task;

export const deadLetter = {
  path: "dead-letters/:task",
  title: ({ task }) => `Dead letter ${shortId(task)}`,
  group: "dead-letters",
  load: (visit) => visit.get(`dead-letters/${encodeURIComponent(visit.params.task)}`),
  touches: isOf,
  // A task that is no dead letter any more is shown where its life goes on.
  leaves(events, visit) {
    const hasLeft = events.some((event) => isOf(event, visit) && LEFT.has(event.name));
    if (hasLeft) go(["tasks", visit.params.task]);
    return hasLeft;
  },
  draw: (letter, visit) => [
    h("div", { class: "title" },
      h("h1", null, h("small", null, "Dead letter"), letter.task),
      visit.moment === null && h("div", { class: "acts" },
        may("submit") && h("a", { class: "button", key: "again", href: link(["submit"], { again: letter.id }) }, "Run again with other arguments"),
        may("admin") && [
          offer(letter, "Requeue", "It runs again, its attempts forgotten."),
          offer(letter, "Purge", "It is given up for good and cannot be requeued. Its history stays.", true)])),
    h("p", { class: "ids" }, h("code", null, letter.id), letter.summary && h("span", null, letter.summary), taskLink(letter.id, "its whole life")),
    facts([
      ["Queue", queueLink(letter.queue)], ["Failed", time(letter.failed_at)], ["Submitted", time(letter.submitted_at)],
      ["Attempts", count(letter.attempts.length)], ["Priority", count(letter.priority)],
      letter.tags.length > 0 && ["Tags", letter.tags.join(", ")],
    ]),
    letter.attempts.toReversed().map((run) => attempt(run, letter.attempts.length)),
    panel("What it was given", letter.args === null ? empty("Retention has removed its submission.") : json({ args: letter.args, kwargs: letter.kwargs })),
  ],
};

// The last attempt is open, the earlier ones can be opened.
function attempt(run, last) {
  const { exception } = run;
  return h("section", { class: "panel", key: `attempt${run.number}` },
    h("h2", null, `Attempt ${run.number}`),
    h("p", { class: "quiet" }, "by ", workerLink(run.worker), run.host && ` on ${run.host}`, ", ", time(run.began), run.ended !== null && `, ended after ${span(run.ended - run.began)}`),
    h("p", { class: "error" }, exception ? [h("b", null, exception.name), `: ${exception.text ?? ""}`] : run.error || run.how),
    exception?.traceback && (run.number === last
      ? h("pre", { class: "traceback", tabindex: "0" }, exception.traceback)
      : h("details", null, h("summary", null, "Its traceback"), h("pre", { class: "traceback", tabindex: "0" }, exception.traceback))));
}

function offer({ id, task }, verb, words, isDanger = false) {
  return h("button", { key: verb, type: "button", class: isDanger ? "danger" : "", onclick: () => confirm({
    title: `${verb} ${task} ${shortId(id)}?`, words, verb, isDanger, act: acting(`dead-letters/${encodeURIComponent(id)}/${verb.toLowerCase()}`),
    after: () => (location.hash = link(["tasks", id])),
  }) }, verb);
}
