// The page: which view is shown, at which moment, and when it is drawn again.
//
// HOW A VIEW IS ADDED. Write `views/NAME.js` that exports an object, and add it to VIEWS below:
//
//   export const queue = {
//     path: "queues/:queue",                    // segments of the address; `:queue` becomes params.queue
//     title: ({ queue }) => queue,              // by its params
//     group: "queues",                          // which entry of the navigation is the current one
//     nav: ["Queues", "g q"],                   // only if it has an entry of its own, with the keys that lead there
//     load: async (visit) => ({ … }),              // fetches what it shows; see below
//     draw: (data, visit) => h("div", null, …),    // describes it; called again whenever something has changed
//     touches: (event, visit) => true,          // whether an event of the journal changes what is shown
//     leaves: (events, visit) => false,         // whether these end what is shown, and the view has gone elsewhere
//   };
//
// `visit` is one stay on the view: `params` and `query` of the address; `moment`, null for now; `state`, an object that
// stays while the reader remains on this view with this filter; `get(path, parameters)`, which asks the service about the
// moment that is shown (`as_of`, `at_least` and the end of a visit are seen to);
// `redraw()`, `reload()`. A view that throws a Problem shows its sentence. Addresses within the page come from `link`,
// which keeps the moment. Whoever may not do a thing is not offered it: ask `may("admin")`.
// What changes something asks first: `confirm` in `asking.js`, in the present only (`visit.moment === null`).
// All of it is described with `h`, so text is never markup. Limits of size: all files together under 150 KiB.

import { question, whenAsked } from "./asking.js";
import { h, render } from "./dom.js";
import { bind, bound, listen } from "./keyboard.js";
import { change, go, link, parse, register } from "./router.js";
import { get, may, Problem, signIn, signOut, whenRefused, whoami } from "./service.js";
import { momentOf, setBeginning, show, slider, step } from "./slider.js";
import { Stream } from "./stream.js";
import { absolute, showMoment, tick, time } from "./times.js";
import { command, commands } from "./views/commands.js";
import { deadLetter, deadLetters } from "./views/dead.js";
import { events } from "./views/events.js";
import { lock, locks } from "./views/locks.js";
import { overview } from "./views/overview.js";
import { queue, queues } from "./views/queues.js";
import { requests } from "./views/requests.js";
import { schedule, schedules } from "./views/schedules.js";
import { found } from "./views/search.js";
import { service, services } from "./views/services.js";
import { submit } from "./views/submit.js";
import { task } from "./views/task.js";
import { tasks } from "./views/tasks.js";
import { worker, workers } from "./views/workers.js";

const VIEWS = [
  overview, queues, queue, tasks, task, submit, deadLetters, deadLetter, workers, worker, schedules, schedule, locks, lock, services,
  service, requests, commands, command, events, found,
];
const PAUSE_MS = 1_000; // a view is fetched anew at most so often,
const SHARE = 4; // and so many times as long as it took passes in between
const HIDDEN_MS = 60_000; // a hidden page stops following after so long

const root = document.getElementById("page");
const page = {
  visit: null, // the present one: its view, its moment, its data
  connection: "connecting",
  dialog: null,
  needsKey: false,
  service: null,
};

// -- visits --------------------------------------------------------------------------------------------------------

function enter() {
  const { view, params, query } = parse(location.hash);
  const moment = momentOf(query.at);
  const { at: _, ...filter } = query;
  const identity = JSON.stringify([view?.path, params, filter]);
  const before = page.visit;
  before?.ended.abort();
  showMoment(moment);
  const isSame = before?.identity === identity;
  const now = {
    view, identity, moment, ended: new AbortController(), data: isSame ? before.data : null, problem: null, isBusy: true,
    cursor: null, due: 0, took: 0,
  };
  now.visit = {
    params, query: filter, moment, state: isSame ? before.visit.state : {},
    get: (path, parameters) => ask(now, path, parameters),
    redraw: () => page.visit === now && draw(),
    reload: () => load(now),
  };
  page.visit = now;
  document.title = view ? `${view.title(params)} · Journeyman` : "Journeyman";
  draw();
  if (view) load(now);
  if (!isSame && before) document.getElementById("main")?.focus({ preventScroll: false });
}

async function ask(now, path, parameters = {}) {
  const more = now.moment !== null ? { as_of: now.moment.toFixed(3) } : { at_least: now.cursor };
  try {
    return await get(path, { ...parameters, ...more }, now.ended.signal);
  } catch (error) {
    if (error.status !== 412) throw error;
    return get(path, parameters, now.ended.signal); // the service is behind what the stream has told; show what it has
  }
}

async function load(now) {
  if (now.loading) return void (now.again = true);
  now.loading = true;
  now.isBusy = true;
  const begun = performance.now();
  try {
    now.data = await now.view.load(now.visit);
    now.problem = null;
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.status === 401) return askForKey();
    if (!(error instanceof Problem) && !(error instanceof TypeError && /fetch/i.test(error.message))) throw error;
    now.problem = error;
  } finally {
    now.loading = false;
    now.isBusy = false;
    now.took = performance.now() - begun;
    if (page.visit === now) draw();
    if (now.again) {
      now.again = false;
      soon(now);
    }
  }
}

// Fetches the view again, with a pause after the last time: a busy journal does not keep the service busy for one page.
function soon(now) {
  if (now.due || now.moment !== null) return;
  now.due = setTimeout(() => {
    now.due = 0;
    if (page.visit === now) load(now);
  }, Math.max(PAUSE_MS, SHARE * now.took));
}

// -- the stream ----------------------------------------------------------------------------------------------------

const stream = new Stream({
  heard(events, cursor) {
    const now = page.visit;
    if (!now?.view || now.moment !== null) return;
    now.cursor = cursor;
    if (now.view.leaves?.(events, now.visit)) return;
    if (now.view.touches && events.some((event) => now.view.touches(event, now.visit))) {
      if (now.due === 0 && performance.now() - (now.loaded ?? 0) > PAUSE_MS && !now.loading) {
        now.loaded = performance.now();
        load(now);
      } else soon(now);
    }
  },
  state(word) {
    page.connection = word;
    draw();
  },
  gap() {
    if (page.visit?.view && page.visit.moment === null) load(page.visit);
  },
});

let hiding = 0;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) hiding = setTimeout(() => stream.stop(), HIDDEN_MS);
  else if (!page.needsKey) stream.start();
});

// -- the frame -----------------------------------------------------------------------------------------------------

function draw() {
  if (!root.described) root.replaceChildren(); // the document's own head, which was there for the first paint
  if (page.needsKey) return render(root, keyForm());
  const now = page.visit;
  if (!now) return;
  const past = now.moment !== null;
  document.documentElement.classList.toggle("past", past);
  render(root,
    h("a", { class: "skip", href: "#main", onclick: (event) => { event.preventDefault(); document.getElementById("main").focus(); } }, "Skip to the content"),
    h("header", { class: "head" },
      h("a", { class: "brand", href: link([]) }, h("span", { class: "mark", "aria-hidden": "true" }), "Journeyman"),
      h("form", { class: "search", role: "search", onsubmit: search },
        h("input", { type: "search", name: "id", placeholder: "Find a task, queue or worker", "aria-label": "Find a task, queue or worker by its name or id", autocomplete: "off", spellcheck: "false" }),
        h("kbd", { "aria-hidden": "true" }, "/")),
      h("div", { class: "status" },
        past
          ? h("span", { class: "moment", key: "moment", role: "status" }, "As of ", h("b", null, absolute(now.moment)))
          : h("span", { class: `connection ${page.connection}`, key: "connection", role: "status" }, { live: "Live", connecting: "Connecting", away: "Reconnecting" }[page.connection]),
        whoami().needed && h("button", { type: "button", class: "plain", key: "key", onclick: leave, title: "Forget the key" }, whoami().name),
        h("button", { type: "button", class: "plain", key: "keys", title: "Keys (?)", "aria-label": "Show the keys", onclick: showKeys }, "?"))),
    h("nav", { class: "nav", "aria-label": "Views" },
      VIEWS.filter((view) => view.nav).map((view) => h("a", {
        key: view.path, href: link(view.path.split("/").filter(Boolean)),
        "aria-current": now.view && (now.view.group ?? now.view.path) === (view.group ?? view.path) ? "page" : null,
      }, view.nav[0]))),
    h("main", { id: "main", tabindex: "-1", "aria-busy": String(now.isBusy), class: now.isBusy ? "busy" : "" }, content(now)),
    slider(now.moment),
    page.dialog,
    question());
}

function content(now) {
  if (!now.view) return h("div", { class: "lost" }, h("h1", null, "No such view"), h("p", null, h("a", { href: link([]) }, "To the overview")));
  const problem = now.problem && h("p", { class: "problem", role: "alert", key: "problem" }, now.problem.status ? now.problem.message : "The service cannot be reached. The page tries again by itself.");
  if (now.data) return [problem, h("div", { class: "view", key: now.identity }, now.view.draw(now.data, now.visit))];
  return [h("h1", { key: "waiting" }, now.view.title(now.visit.params)), problem ?? h("p", { class: "waiting", key: "words" }, "Reading …")];
}

function search(event) {
  event.preventDefault();
  const field = event.target.elements.id;
  const wanted = field.value.trim();
  if (wanted) go(["search", wanted]);
  field.blur();
}

// -- the key -------------------------------------------------------------------------------------------------------

function keyForm() {
  const submit = async (event) => {
    event.preventDefault();
    const field = event.target.elements.key;
    try {
      await signIn(field.value.trim());
      page.refusal = null;
      page.needsKey = false;
      begin();
    } catch (error) {
      page.refusal = error.status === 401 ? "The service does not know this key." : error.message;
      draw();
      field.select();
    }
  };
  return h("main", { class: "door", key: "door" },
    h("span", { class: "mark", "aria-hidden": "true" }), h("h1", null, "Journeyman"),
    h("form", { onsubmit: submit },
      h("label", { for: "key" }, "The key of this service"),
      h("input", { id: "key", name: "key", type: "password", autocomplete: "off", required: true, "aria-describedby": "key-words", onmount: (node) => node.focus() }),
      page.refusal && h("p", { class: "problem", role: "alert" }, page.refusal),
      h("p", { id: "key-words" }, "It stays in the memory of this page and is forgotten when you leave it. A key with the scope read is enough to look."),
      h("button", { type: "submit" }, "Enter")));
}

function askForKey() {
  stream.stop();
  signOut();
  page.needsKey = true;
  page.visit?.ended.abort();
  page.visit = null;
  draw();
}

function leave() {
  askForKey();
}

// -- keys ----------------------------------------------------------------------------------------------------------

function showKeys() {
  const close = () => {
    page.dialog = null;
    draw();
  };
  page.dialog = h("dialog", { class: "keys", key: "keys-dialog", "aria-labelledby": "keys-title", onclose: close, onmount: (node) => node.showModal() },
    h("h2", { id: "keys-title" }, "Keys"),
    h("dl", null, bound().map(({ keys, words }) => h("div", null, h("dt", null, keys.split(" ").map((each) => h("kbd", null, each))), h("dd", null, words)))),
    h("form", { method: "dialog" }, h("button", null, "Close")));
  draw();
}

// Moves the focus to the next or the previous row of the view.
function move(direction) {
  const rows = [...document.querySelectorAll("#main tbody tr a:first-of-type, #main .viewport .row a:first-of-type")];
  const links = rows.filter((each, index) => index === 0 || each.closest("tr, .row") !== rows[index - 1].closest("tr, .row"));
  const row = document.activeElement?.closest?.("tr, .row");
  const place = links.findIndex((each) => row && each.closest("tr, .row") === row);
  links[Math.max(0, Math.min(links.length - 1, place + direction))]?.focus();
}

function bindAll() {
  bind("?", "show the keys", showKeys);
  bind("/", "find a task, queue or worker", () => document.querySelector(".search input")?.focus());
  bind("l", "live: back to now", () => show(null));
  bind("[", "one step back in time", () => step(page.visit.moment, -1));
  bind("]", "one step forward in time", () => step(page.visit.moment, 1));
  bind("{", "ten steps back in time", () => step(page.visit.moment, -1, 10));
  bind("}", "ten steps forward in time", () => step(page.visit.moment, 1, 10));
  bind("j", "next row", () => move(1));
  bind("k", "previous row", () => move(-1));
  bind("u", "up: the list that this belongs to", () => go(page.visit.view?.group ? [page.visit.view.group] : []));
  for (const view of VIEWS) {
    if (view.nav) bind(view.nav[1], `go to ${view.nav[0].toLowerCase()}`, () => go(view.path.split("/").filter(Boolean)));
  }
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && event.target.matches?.(".search input")) event.target.blur();
  });
}

// -- the beginning -------------------------------------------------------------------------------------------------

function begin() {
  enter();
  stream.start();
  get("events", { limit: 1 }).then(({ events: first }) => {
    if (first.length) setBeginning(first[0].timestamp);
    draw();
  }, () => {});
}

VIEWS.forEach(register);
bindAll();
listen();
whenRefused(askForKey);
whenAsked(draw);
addEventListener("hashchange", () => !page.needsKey && enter());
setInterval(tick, 1_000);
signIn().then((owner) => {
  if (owner.needed && owner.name === null) {
    page.needsKey = true;
    draw();
  } else begin();
}, (error) => root.replaceChildren() ?? render(root, h("main", { class: "door" }, h("h1", null, "Journeyman"), h("p", { class: "problem", role: "alert" }, `The service cannot be reached: ${error.message}`))));
