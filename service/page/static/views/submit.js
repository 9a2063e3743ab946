// Submit a task, or run one again with its arguments to edit.

import { h } from "../dom.js";
import { go } from "../router.js";
import { may, post } from "../service.js";
import { empty, shortId } from "../words.js";

// What a new task takes over from the message of an earlier one, beside the fields of the form.
const TAKEN_OVER = ["timeout", "result_ttl", "metadata", "backoff_settings", "mechanism", "function"];
const EMPTY = { task_name: "", queue: "", args: "[]", kwargs: "{}", priority: "0", delay: "0", max_retries: "3", tags: "", summary: "" };

export const submit = {
  path: "submit",
  title: () => "Submit a task",
  group: "tasks",
  async load(visit) {
    const { again } = visit.query;
    if (visit.state.form) return visit.state;
    const context = again ? await submissionOf(visit, again) : {};
    visit.state.kept = Object.fromEntries(TAKEN_OVER.filter((name) => context[name] !== undefined && context[name] !== null).map((name) => [name, context[name]]));
    visit.state.isWritten = Boolean(context.serializer); // by a serializer: such arguments cannot be edited as JSON
    visit.state.form = { ...EMPTY, ...formOf(context) };
    return visit.state;
  },
  draw: ({ form, isWritten, problem, isBusy }, visit) => {
    if (!may("submit")) return [h("h1", null, "Submit a task"), empty("The key in use may not submit tasks.")];
    if (visit.moment !== null) return [h("h1", null, "Submit a task"), empty("A task is submitted in the present; the key l goes back to it.")];
    const { again } = visit.query;
    const set = (event) => (form[event.target.name] = event.target.value);
    const field = (name, words, more = {}) => h("label", { key: name }, h("span", null, words), h("input", { name, value: form[name], autocomplete: "off", spellcheck: "false", oninput: set, ...more }));
    const area = (name, words) => h("label", { key: name, class: "whole" }, h("span", null, words), h("textarea", { name, value: form[name], rows: 5, spellcheck: "false", oninput: set }));
    return [
      h("h1", null, again ? [h("small", null, "Run again, as a new task"), `${form.task_name} ${shortId(again)}`] : "Submit a task"),
      isWritten && h("p", { class: "note" }, "Its arguments were written by a serializer of its program and cannot be edited here: they begin empty."),
      h("form", { class: "panel fields", onsubmit: (event) => send(event, visit) },
        field("task_name", "Name of the task", { required: true }), field("queue", "Queue", { placeholder: "default" }),
        area("args", "Arguments by position, a JSON list"), area("kwargs", "Arguments by name, a JSON object"),
        field("priority", "Priority, lower first", { type: "number", min: 0 }), field("delay", "Delay in ms", { type: "number", min: 0 }),
        field("max_retries", "Attempts beyond the first, empty for no end", { type: "number", min: 0 }), field("tags", "Tags, divided by commas"),
        field("summary", "Summary for people"),
        problem && h("p", { class: "problem whole", role: "alert", key: "problem" }, problem),
        h("div", { class: "choices whole", key: "choices" }, h("button", { class: "first", disabled: isBusy }, again ? "Run again" : "Submit"))),
    ];
  },
};

async function submissionOf(visit, id) {
  const { steps } = await visit.get(`tasks/${encodeURIComponent(id)}/history`);
  return steps.find((step) => step.name === "task.submitted")?.context ?? {};
}

function formOf(context) {
  const found = {};
  for (const name of ["task_name", "queue", "summary"]) if (context[name]) found[name] = context[name];
  if (context.priority) found.priority = String(context.priority);
  if (context.max_retries !== undefined) found.max_retries = context.max_retries === null ? "" : String(context.max_retries);
  if (context.tags) found.tags = context.tags.join(", ");
  if (!context.serializer) {
    for (const name of ["args", "kwargs"]) if (context[name]) found[name] = JSON.stringify(context[name], null, 2);
  }
  return found;
}

// Returns the value of a field as JSON; throws with a sentence for the reader.
function parsed(form, name, isFit, expected) {
  let value;
  try {
    value = JSON.parse(form[name]);
  } catch (error) {
    throw new SyntaxError(`${expected}: ${error.message}`);
  }
  if (!isFit(value)) throw new SyntaxError(expected);
  return value;
}

async function send(event, visit) {
  event.preventDefault();
  const { state } = visit;
  const { form } = state;
  try {
    const message = {
      ...state.kept,
      task_name: form.task_name.trim(), queue: form.queue.trim() || null, summary: form.summary.trim(),
      args: parsed(form, "args", Array.isArray, "The arguments by position are a JSON list, such as [1, \"two\"]"),
      kwargs: parsed(form, "kwargs", (value) => value !== null && typeof value === "object" && !Array.isArray(value), "The arguments by name are a JSON object, such as {\"to\": \"ada\"}"),
      priority: Number(form.priority || 0), delay: Number(form.delay || 0), max_retries: form.max_retries === "" ? null : Number(form.max_retries),
      tags: form.tags.split(",").map((tag) => tag.trim()).filter(Boolean),
    };
    Object.assign(state, { isBusy: true, problem: null });
    visit.redraw();
    const { task } = await post("tasks", message);
    go(["tasks", task]);
  } catch (error) {
    if (!error.status && !(error instanceof SyntaxError)) throw error;
    state.problem = error.message;
  } finally {
    state.isBusy = false;
    visit.redraw();
  }
}
