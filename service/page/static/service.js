// Asks the service. The key stands in this module's memory only; it is gone with the page.

const BASE = new URL("../../", import.meta.url);
let key = null;
let owner = { needed: false, name: null, scopes: [] };
let onRefused = () => {};

export class Problem extends Error {
  constructor(status, said) {
    super(said?.detail ?? `the service answered ${status}`);
    this.status = status;
    this.kind = (said?.type ?? "").replace("urn:journeyman:", "");
    this.said = said ?? {};
  }
}

export const whoami = () => owner;
export const may = (scope) => owner.scopes.includes("admin") || owner.scopes.includes(scope);
export const whenRefused = (handler) => (onRefused = handler);
export const address = (path) => new URL(path, BASE);

export function headers(more = {}) {
  return key === null ? more : { ...more, Authorization: `Bearer ${key}` };
}

// Learns what a key permits; without one, whether the service needs one. Throws a Problem for an unknown key.
export async function signIn(given = null) {
  const answer = await fetch(address("key"), { headers: given === null ? {} : { Authorization: `Bearer ${given}` } });
  if (!answer.ok) throw await problemOf(answer);
  owner = await answer.json();
  key = given;
  return owner;
}

export function signOut() {
  key = null;
  owner = { needed: true, name: null, scopes: [] };
}

export async function get(path, parameters = {}, signal = undefined) {
  return (await ask("GET", path, parameters, undefined, signal)).json();
}

export async function post(path, body = {}, more = {}) {
  return (await ask("POST", path, {}, body, undefined, more)).json();
}

async function ask(method, path, parameters, body, signal, more = {}) {
  const url = address(path);
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  const options = { method, headers: headers({ Accept: "application/json", ...more }), signal };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(url, options);
  if (answer.ok) return answer;
  const problem = await problemOf(answer);
  if (problem.status === 401) onRefused(problem);
  throw problem;
}

async function problemOf(answer) {
  return new Problem(answer.status, await answer.json().catch(() => null));
}
