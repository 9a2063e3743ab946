// The keys of the page: one table, which `?` shows. A key does nothing while text is being typed.

const bindings = [];
let pending = "";
let forget = 0;

// `keys` is one key, such as "l", or two in succession, "g o".
export function bind(keys, words, act) {
  bindings.push({ keys, words, act });
}

export const bound = () => bindings;

export function listen() {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (document.querySelector("dialog[open]") && event.key !== "Escape") return;
    const typed = pending ? `${pending} ${event.key}` : event.key;
    clearTimeout(forget);
    const found = bindings.find((each) => each.keys === typed) ?? bindings.find((each) => each.keys === event.key);
    pending = "";
    if (found) {
      event.preventDefault();
      found.act(event);
    } else if (bindings.some((each) => each.keys.startsWith(`${event.key} `))) {
      pending = event.key;
      forget = setTimeout(() => (pending = ""), 1_500);
    }
  });
}

function isTyping(element) {
  return element.matches?.("input:not([type=range]):not([type=checkbox]), textarea, select");
}
