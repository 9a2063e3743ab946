// Addresses within the page: `#/queues/mail?state=ready&at=2026-11-30T14:05:00.000Z` names a view, its filter, and the
// moment it shows; without `at` it is live. Such an address can be shared: it holds no key.

const routes = [];

// `path` is made of segments; one that begins with a colon is a parameter.
export function register(view) {
  routes.push({ view, parts: view.path.split("/").filter(Boolean) });
}

export function parse(hash) {
  const [path, search] = hash.replace(/^#\/?/, "").split("?");
  const query = Object.fromEntries(new URLSearchParams(search ?? ""));
  const said = path.split("/").filter(Boolean).map(decoded);
  for (const { view, parts } of routes) {
    if (parts.length !== said.length) continue;
    if (parts.every((part, index) => part.startsWith(":") || part === said[index])) {
      const named = parts.map((part, index) => [part.slice(1), said[index], part.startsWith(":")]);
      const params = Object.fromEntries(named.filter((each) => each[2]));
      return { view, params, query, path: said };
    }
  }
  return { view: null, params: {}, query, path: said };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// The address of a view at the moment that is shown now: link(["queues", name], { state: "ready" }).
export function link(path, query = {}) {
  const at = "at" in query ? query.at : parse(location.hash).query.at;
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...query, at })) {
    if (value !== null && value !== undefined && value !== "") search.set(name, value);
  }
  const text = search.toString();
  return `#/${path.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

export function go(path, query) {
  location.hash = link(path, query);
}

// Changes the query of this view: a new entry of the browser's history only if `push`.
export function change(query, { push = false } = {}) {
  const here = parse(location.hash);
  const address = link(here.path, { ...here.query, ...query });
  if (push) location.hash = address;
  else {
    history.replaceState(null, "", address);
    dispatchEvent(new HashChangeEvent("hashchange"));
  }
}
