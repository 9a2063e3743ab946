// Questions before something is changed, and what became of it. One at a time, above the page.

import { h } from "./dom.js";
import { post } from "./service.js";

let shown = null;
let redraw = () => {};
export const whenAsked = (draw) => (redraw = draw);
export const question = () => shown;

function show(description) {
  shown = description;
  redraw();
}

// Says something that needs no choice.
export function tell(title, words) {
  const close = () => show(null);
  show(h("dialog", { key: title, class: "question", "aria-labelledby": "question-title", onclose: close, onmount: (node) => node.showModal() },
    h("h2", { id: "question-title" }, title), h("p", null, words),
    h("form", { method: "dialog" }, h("div", { class: "choices" }, h("button", { class: "first" }, "Close")))));
}

// Asks before an act: `act(reason, fields)` does it, and its words or its Problem are shown. `isDanger` marks what cannot
// be undone; `more` are further fields, or words.
export function confirm({ title, words, verb, act, isDanger = false, more = null, after = () => {} }) {
  let failure = null;
  let isBusy = false;
  const close = () => show(null);
  const submit = async (event) => {
    event.preventDefault();
    isBusy = true;
    draw();
    try {
      await act(event.target.elements.reason.value.trim() || null, event.target.elements);
      close();
      after();
    } catch (error) {
      failure = error.message;
      isBusy = false;
      draw();
    }
  };
  const draw = () => show(h("dialog", { key: title, class: "question", "aria-labelledby": "question-title", onclose: close, onmount: (node) => node.showModal() },
    h("h2", { id: "question-title" }, title),
    h("p", null, words),
    h("form", { onsubmit: submit },
      more,
      h("label", null, h("span", null, "Reason, kept in the journal"), h("input", { name: "reason", maxlength: 1_000, autocomplete: "off" })),
      failure && h("p", { class: "problem", role: "alert" }, failure),
      h("div", { class: "choices" },
        h("button", { type: "button", onclick: close }, "Leave it"),
        h("button", { class: isDanger ? "danger" : "first", disabled: isBusy }, verb)))));
  draw();
}

// The act of a route that takes a reason.
export const acting = (path) => (reason) => post(path, reason === null ? {} : { reason });
