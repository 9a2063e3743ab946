// All tasks, the one submitted last first, by a filter that stands in the address. The counts follow the filter.

import { bulk } from "../bulk.js";
import { h } from "../dom.js";
import { filterForm, filterOf } from "../filter.js";
import { link } from "../router.js";
import { may } from "../service.js";
import { count } from "../words.js";
import { taskList } from "./queues.js";

const STATES = [
  ["", "All"], ["ready", "Waiting"], ["claimed", "Running"], ["succeeded", "Succeeded"], ["failed", "Dead letters"], ["revoked", "Revoked"],
];
const FIELDS = [
  ["name", "Name", ""], ["queue", "Queue", ""], ["tag", "Tag", ""], ["argument", "Argument", "kwargs.order=7"],
  ["worker", "Worker", "its id"], ["since", "Submitted since", "10m, 14:05"], ["until", "Until", "10m, 14:05"],
];
const PAGES_COUNTED = 4; // each reads a bounded number of events; beyond them the numbers say "or more"
const COUNT_MS = 10_000; // counts are made anew at most so often

export const tasks = {
  path: "tasks",
  title: () => "Tasks",
  group: "tasks",
  nav: ["Tasks", "g t"],
  async load(visit) {
    const filter = filterOf(FIELDS, visit.query);
    const list = (visit.state.list ??= taskList(visit, { ...filter, state: visit.query.state }));
    visit.state.get = visit.get;
    countAll(visit, filter);
    await list.begin();
    return { list };
  },
  touches: (event) => event.name.startsWith("task."),
  draw: ({ list }, visit) => [
    h("div", { class: "title" }, h("h1", null, "Tasks"),
      visit.moment === null && h("div", { class: "acts" },
        may("submit") && h("a", { class: "button", key: "submit", href: link(["submit"]) }, "Submit a task"),
        may("admin") && offers(visit))),
    filterForm(FIELDS, visit, "tasks", { state: visit.query.state }),
    states(visit),
    list.element(),
  ],
};

// What can be done with all that match, by their state.
const BULK = {
  failed: [
    ["requeue", "Requeue", "They run again, their attempts forgotten."],
    ["purge", "Purge", "They are given up for good and cannot be requeued. Their history stays.", true],
  ],
  ready: [["revoke", "Revoke", "They do not run.", true]],
  claimed: [["revoke", "Revoke", "Their workers stop them, if they can be stopped; they do not run again.", true]],
};

function offers({ query }) {
  const things = { failed: "dead letters", ready: "waiting tasks", claimed: "running tasks" }[query.state];
  return (BULK[query.state] ?? []).map(([action, verb, words, isDanger]) => h("button", {
    type: "button", key: action, class: isDanger ? "danger" : "",
    onclick: () => bulk({ action, verb, things, words, isDanger, filter: { ...filterOf(FIELDS, query), state: query.state } }),
  }, `${verb} all that match`));
}

// Counts what matches the filter, page by page; until all is counted the numbers say "or more".
async function countAll(visit, filter) {
  const { counting } = visit.state;
  if (counting?.moment === visit.moment && performance.now() - counting.begun < COUNT_MS) return;
  const turn = (visit.state.counting = { moment: visit.moment, begun: performance.now() });
  const sums = {};
  let cursor = null;
  try {
    for (let page = 0; page < PAGES_COUNTED; page++) {
      const { counts, next } = await visit.get("task-counts", { ...filter, cursor });
      if (turn !== visit.state.counting) return;
      for (const [state, number] of Object.entries(counts)) sums[state] = (sums[state] ?? 0) + number;
      visit.state.counts = { sums: { ...sums }, isWhole: next === null };
      visit.redraw();
      if ((cursor = next) === null) return;
    }
  } catch (error) {
    if (error.name !== "AbortError" && !error.status) throw error;
  }
}

function states({ query, state: { counts } }) {
  const whole = counts && Object.values(counts.sums).reduce((one, other) => one + other, 0);
  return h("nav", { class: "tabs", "aria-label": "State" }, STATES.map(([name, words]) => {
    const number = name ? counts?.sums[name] : whole;
    return h("a", { key: name, href: link(["tasks"], { ...query, state: name }), "aria-current": (query.state ?? "") === name ? "true" : null },
      words, counts && h("span", { class: "amount" }, count(number ?? 0), !counts.isWhole && "+"));
  }));
}
