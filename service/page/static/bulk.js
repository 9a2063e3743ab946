// Select all that match: one command on the server, asked for after a dry run, and not a loop in the page.

import { confirm, tell } from "./asking.js";
import { h } from "./dom.js";
import { go } from "./router.js";
import { get, post } from "./service.js";
import { count, plural, shortId } from "./words.js";

const RATE = 100; // tasks a second, unless the reader chooses another one

// `filter` is that of POST /commands; without any field all are meant that the action can change.
export async function bulk({ action, verb, things, words, filter, isDanger = false }) {
  const given = Object.fromEntries(Object.entries(filter).filter((each) => each[1]));
  try {
    // What is submitted while the question stands is not meant: the filter ends with the moment of the dry run.
    if (!given.until) given.until = await momentOfService();
    const said = { action, filter: given };
    const found = await post("commands", { ...said, dry_run: true });
    if (!found.matched) return tell(`Nothing to ${action}`, `No ${things} match at present.`);
    const number = `${count(found.matched)}${found.complete ? "" : " or more"}`;
    confirm({
      title: `${verb} ${number} ${things}?`, words, verb, isDanger,
      more: [
        h("ul", { class: "sample", key: "sample" },
          found.sample.slice(0, 5).map((task) => h("li", { key: task.task }, h("code", null, shortId(task.task)), " ", h("b", null, task.name), " in ", task.queue)),
          found.matched > 5 && h("li", { key: "more", class: "quiet" }, `and ${plural(found.matched - Math.min(5, found.sample.length), "other", "others")}`)),
        h("label", { key: "rate" }, h("span", null, "Tasks a second, at most"), h("input", { name: "rate", type: "number", min: 1, max: 2_000, required: true, onmount: (node) => void (node.value = String(RATE)) })),
      ],
      act: async (reason, fields) => {
        const started = await post("commands", { ...said, rate: Number(fields.rate.value), ...(reason === null ? {} : { reason }) });
        go(["commands", started.command]);
      },
    });
  } catch (error) {
    if (!error.status) throw error;
    tell(`${verb}?`, error.message);
  }
}

async function momentOfService() {
  const { as_of: at } = await get("schedules", { limit: 1 });
  return new Date(Math.ceil(at * 1_000)).toISOString();
}
