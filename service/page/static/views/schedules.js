// The schedules, their ticks to come, and one with what it has done.

import { acting, confirm } from "../asking.js";
import { h } from "../dom.js";
import { link } from "../router.js";
import { may } from "../service.js";
import { absolute, time } from "../times.js";
import { count, empty, facts, json, panel, table, taskLink } from "../words.js";

const touches = (event) => event.name.startsWith("schedule.");

export const schedules = {
  path: "schedules",
  title: () => "Schedules",
  group: "schedules",
  nav: ["Schedules", "g s"],
  async load(visit) {
    const [{ schedules: found }, { ticks }] = await Promise.all([visit.get("schedules", { limit: 1_000 }), visit.get("ticks", { count: 12 })]);
    return { found, ticks };
  },
  touches,
  draw: ({ found, ticks }, visit) => [
    h("h1", null, "Schedules"),
    panel("All schedules", found.length === 0 ? empty("There is none.") : table("Schedules", [
      ["Schedule", (each) => h("a", { href: link(["schedules", each.schedule]) }, each.schedule), "name"],
      ["Submits", (each) => each.message.task_name], ["Trigger", (each) => h("code", null, triggerOf(each.trigger))],
      ["Next tick", (each) => (each.paused ? h("span", { class: "badge" }, "paused") : each.next_tick === null ? "none" : time(each.next_tick / 1_000)), "number"],
      ["Fired", (each) => count(each.fired), "number"], ["Skipped", (each) => count(each.skipped), "number"],
      ["Last task", (each) => (each.last_task ? taskLink(each.last_task) : "–"), "mono"],
      may("admin") && visit.moment === null && ["Change", (each) => toggle(each, visit)],
    ].filter(Boolean), found, (each) => each.schedule)),
    ticks.length > 0 && panel("Ticks to come", tickList(ticks, true)),
  ],
};

export const schedule = {
  path: "schedules/:schedule",
  title: ({ schedule }) => `Schedule ${schedule}`,
  group: "schedules",
  async load(visit) {
    const name = encodeURIComponent(visit.params.schedule);
    const [found, { ticks }] = await Promise.all([visit.get(`schedules/${name}`), visit.get("ticks", { schedule: visit.params.schedule, count: 8 })]);
    return { found, ticks };
  },
  touches,
  draw: ({ found, ticks }, visit) => [
    h("div", { class: "title" },
      h("h1", null, h("small", null, "Schedule"), found.schedule, found.paused && h("span", { class: "badge" }, "paused")),
      h("div", { class: "acts" }, toggle(found, visit))),
    facts([
      ["Trigger", h("code", null, triggerOf(found.trigger))], ["Next tick", found.paused || found.next_tick === null ? "none" : time(found.next_tick / 1_000)],
      ["Fired", count(found.fired)], ["Last fired", time(found.fired_at)], ["Skipped", count(found.skipped)],
      ["A tick that was missed", found.misfire], ["While its last task runs", found.overlap],
      found.last_task && ["Last task", taskLink(found.last_task)], ["Made", time(found.created_at)],
    ]),
    h("div", { class: "columns" },
      panel("Ticks to come", ticks.length === 0 ? empty("None.") : tickList(ticks, false)),
      panel("What it submits", json(found.message))),
    panel("What it has done", found.history.length === 0 ? empty("Nothing yet.") : table("Its events", [
      ["When", (each) => time(each.timestamp)], ["Event", (each) => h("b", null, each.name)],
      ["Task", (each) => (each.task ? taskLink(each.task) : "–"), "mono"], ["By", (each) => each.by ?? "–"], ["Reason", (each) => each.reason ?? "–"],
    ], found.history.toReversed(), (each) => `${each.timestamp} ${each.name}`)),
  ],
};

// A trigger in a few words: a calendar as in a crontab, any other one by its fields.
function triggerOf({ type, fields, timezone, ...others }) {
  if (fields) {
    const five = ["minute", "hour", "day", "month", "day_of_week"].map((name) => fields[name] ?? "*").join(" ");
    const rest = Object.entries(fields).filter(([name, value]) => ["second", "week", "year"].includes(name) && value !== "*" && !(name === "second" && value === "0"));
    return [five, ...rest.map(([name, value]) => `${name}=${value}`), timezone].filter(Boolean).join(" ");
  }
  return [type, ...Object.entries(others).filter(([, value]) => value !== null && value !== 0 && value !== "").map(([name, value]) => `${name}=${typeof value === "object" ? JSON.stringify(value) : value}`), timezone].filter(Boolean).join(" ");
}

function tickList(ticks, isNamed) {
  return table("Ticks to come", [
    ["When", (tick) => time(tick.tick / 1_000)], ["At", (tick) => absolute(tick.tick / 1_000)],
    isNamed && ["Schedule", (tick) => h("a", { href: link(["schedules", tick.schedule]) }, tick.schedule)],
  ].filter(Boolean), ticks, (tick) => `${tick.schedule} ${tick.tick}`);
}

function toggle({ schedule: name, paused }, visit) {
  if (!may("admin") || visit.moment !== null) return null;
  const verb = paused ? "Resume" : "Pause";
  return h("button", { type: "button", key: verb, "aria-label": `${verb} ${name}`, onclick: () => confirm({
    title: `${verb} the schedule ${name}?`, verb, act: acting(`schedules/${encodeURIComponent(name)}/${verb.toLowerCase()}`), after: visit.reload,
    words: paused ? "It ticks again." : "It does not tick until it is resumed. Tasks that it has submitted go on.",
  }) }, verb);
}
