// The locks that are held or waited for, and one with its line and its history.

import { confirm } from "../asking.js";
import { h } from "../dom.js";
import { link } from "../router.js";
import { may, post } from "../service.js";
import { time } from "../times.js";
import { count, empty, facts, panel, shortId, table } from "../words.js";

const touches = (event) => event.name.startsWith("lock.") && event.name !== "lock.renewed";
const isHolder = (request) => request.granted_at !== null;

export const locks = {
  path: "locks",
  title: () => "Locks",
  group: "locks",
  nav: ["Locks", "g k"],
  load: (visit) => visit.get("locks", { limit: 1_000 }),
  touches,
  draw: ({ locks: found }) => [
    h("h1", null, "Locks"),
    panel("Held or waited for", found.length === 0 ? empty("No lock is held.") : table("Locks", [
      ["Lock", (each) => h("a", { href: link(["locks", each.lock]) }, each.lock), "name"],
      ["Held", (each) => `${count(each.held)} of ${count(each.capacity)}`, "number"],
      ["Holder", (each) => each.requests.filter(isHolder).slice(0, 3).map((request) => h("span", { class: "held", key: request.token }, owner(request)))],
      ["Waiting", (each) => count(each.requests.length - each.held), "number"],
      ["Held since", (each) => time(each.requests.find(isHolder)?.granted_at), "number"],
      ["Signs of life", (each) => each.requests.some((request) => request.silent) ? h("span", { class: "badge warning" }, "one is silent") : "fresh"],
    ], found, (each) => each.lock)),
  ],
};

export const lock = {
  path: "locks/:lock",
  title: ({ lock }) => `Lock ${lock}`,
  group: "locks",
  load: (visit) => visit.get(`locks/${encodeURIComponent(visit.params.lock)}`),
  touches: (event, visit) => touches(event) && (event.key ?? "").includes(visit.params.lock),
  draw: (found, visit) => [
    h("h1", null, h("small", null, "Lock"), found.lock),
    facts([
      ["Held", found.capacity === null ? "no" : `${count(found.held)} of ${count(found.capacity)}`],
      ["Waiting", count(found.requests.length - found.held)], ["Renewals of its leases", count(found.renewals)],
    ]),
    found.findings.length > 0 && h("ul", { class: "findings" }, found.findings.map((each, index) => h("li", { key: index }, each.sentence))),
    panel("Holders", line(found, found.requests.filter(isHolder), visit, true)),
    panel("The line that waits", line(found, found.requests.filter((each) => !isHolder(each)), visit, false)),
    panel("What happened", found.is_truncated && h("p", { class: "note" }, "Retention has removed the first events."),
      table("Its events", [
        ["When", (step) => time(step.timestamp)], ["Event", (step) => h("b", null, step.name)], ["Owner", (step) => shortId(step.owner ?? "–"), "mono"],
        ["Verdict", (step) => (step.verdict === "accepted" ? "accepted" : h("span", { class: "reason" }, step.verdict, step.reason && `: ${step.reason}`))],
        ["Granted to", (step) => step.granted.map(shortId).join(", ") || "–", "mono"],
      ], found.history.toReversed(), (step) => step.position)),
  ],
};

const owner = ({ owner: id, host, pid }) => [h("span", { class: "mono", title: id }, shortId(id)), host && h("span", { class: "quiet" }, ` ${host}${pid ? ` · ${pid}` : ""}`)];

function line({ lock: name }, requests, visit, isHeld) {
  if (!requests.length) return empty("None.");
  return table(isHeld ? "Holders" : "The line that waits", [
    ["Owner", owner], ["Token", (each) => count(each.token), "number"],
    [isHeld ? "Held since" : "Waits since", (each) => time(isHeld ? each.granted_at : each.requested_at), "number"],
    ["Last sign of life", (each) => [time(each.seen_at), each.silent && h("span", { class: "badge warning" }, "silent for its lease")], "number"],
    ["Lease", (each) => `${count(each.lease_ms / 1_000)} s`, "number"],
    isHeld && may("admin") && visit.moment === null && ["Change", (each) => h("button", { type: "button", class: "danger", onclick: () => confirm({
      title: `Release the lock ${name}?`, verb: "Release", isDanger: true, after: visit.reload,
      words: "The next request is granted. A holder that lives goes on with its work, and learns of it when it renews its lease.",
      act: (reason) => post(`locks/${encodeURIComponent(name)}/release`, { token: each.token, ...(reason === null ? {} : { reason }) }),
    }) }, "Release")],
  ].filter(Boolean), requests, (each) => each.token);
}
