// Makes the document from plain descriptions, and changes only what differs: focus, scroll and selection stay.
//
// h("a", { class: "task", href: link("tasks/7") }, "text") describes an element. Text always becomes a text node and
// never markup; the browser enforces that (Trusted Types). A `key` keeps an element with its data when lists change.
// `onmount(element)` runs once the element stands in the document, and may return a function for its end.

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["value", "checked", "disabled", "open", "selected", "hidden", "indeterminate"]);

export function h(tag, attributes, ...children) {
  const given = attributes ?? {};
  return { tag, given, key: given.key, children: flat(children) };
}

function flat(children) {
  const found = [];
  for (const each of children.flat(Infinity)) {
    if (each === null || each === undefined || each === false || each === true || each === "") continue;
    found.push(typeof each === "object" ? each : { text: String(each) });
  }
  return found;
}

// Shows a description, or several, as the whole content of an element.
export function render(element, ...described) {
  const now = flat(described);
  patchChildren(element, element.described ?? [], now, null);
  element.described = now;
}

function create(described, space) {
  if (described.text !== undefined) return (described.node = document.createTextNode(described.text));
  const inside = described.tag === "svg" ? SVG : space;
  const node = inside ? document.createElementNS(inside, described.tag) : document.createElement(described.tag);
  described.node = node;
  described.space = inside;
  patchChildren(node, [], described.children, inside);
  for (const [name, value] of Object.entries(described.given)) setAttribute(node, name, value);
  if (described.given.onmount) queueMicrotask(() => (described.node.atEnd = described.given.onmount(node)));
  return node;
}

function setAttribute(node, name, value) {
  if (name === "key" || name === "onmount") return;
  if (name.startsWith("on")) node[name] = value ?? null;
  else if (name === "style") for (const [property, given] of Object.entries(value)) node.style.setProperty(property, given);
  else if (PROPERTIES.has(name)) {
    if (node[name] !== value) node[name] = value ?? (name === "value" ? "" : false);
  } else if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else if (name === "href" && !/^(#|https?:\/\/|\.\/)/.test(value)) throw new Error(`not an address of ours: ${value}`);
  else node.setAttribute(name, value === true ? "" : value);
}

function patch(before, now) {
  const node = (now.node = before.node);
  if (now.text !== undefined) {
    if (node.data !== now.text) node.data = now.text;
    return node;
  }
  now.space = before.space;
  patchChildren(node, before.children, now.children, before.space);
  for (const name of Object.keys(before.given)) if (!(name in now.given)) setAttribute(node, name, null);
  for (const [name, value] of Object.entries(now.given)) {
    // What a reader is typing stays, as long as the description has not changed.
    if (value !== before.given[name] || (PROPERTIES.has(name) && node !== document.activeElement)) setAttribute(node, name, value);
  }
  return node;
}

const isSame = (one, other) =>
  one.key === other.key && one.tag === other.tag && (one.text === undefined) === (other.text === undefined);

function patchChildren(parent, before, now, space) {
  const keyed = new Map();
  const others = [];
  for (const each of before) {
    if (each.key === undefined) others.push(each);
    else keyed.set(each.key, each);
  }
  const pairs = now.map((each) => {
    if (each.key !== undefined) {
      const found = keyed.get(each.key);
      if (!found || !isSame(found, each)) return null;
      keyed.delete(each.key);
      return found;
    }
    const place = others.findIndex((other) => isSame(other, each));
    return place < 0 ? null : others.splice(0, place + 1).at(-1);
  });
  const kept = new Set(pairs);
  for (const each of before) if (!kept.has(each)) drop(each);
  let next = parent.firstChild;
  now.forEach((each, index) => {
    const node = pairs[index] ? patch(pairs[index], each) : create(each, space);
    if (node === next) next = next.nextSibling;
    else parent.insertBefore(node, next);
  });
}

function drop(described) {
  described.node.remove();
  end(described);
}

function end(described) {
  if (described.text !== undefined) return;
  described.node.atEnd?.();
  described.children.forEach(end);
}
