// A list of any length: only the visible rows stand in the document, and pages are fetched by their cursors.
//
// Pages far from what is visible are forgotten and fetched again when they come into view, so that memory stays bounded
// while a reader scrolls through a million rows.

import { h, render } from "./dom.js";

const ROW = 38; // pixels, as --row in style.css
const SPARE = 12; // rows beyond the visible ones, on either side
const PAGES_KEPT = 24;
const HEIGHT_MAX = 8_000_000; // pixels; browsers bound the height of an element

export class List {
  // `fetch(cursor)` → { items, next }; `columns` are [head, cell(item), class, width]; `none` describes an empty list.
  constructor({ label, columns, fetch, keyOf, none }) {
    Object.assign(this, { label, columns, fetch, keyOf, none });
    this.pages = [];
    this.failure = null;
    this.loading = false;
    this.newer = false;
  }

  get total() {
    const last = this.pages.at(-1);
    return last ? last.start + last.count : 0;
  }
  get isComplete() {
    return this.pages.length > 0 && this.pages.at(-1).next === null;
  }

  get #isEmpty() {
    return this.total === 0 && this.isComplete;
  }

  // Fetches the first page anew. A reader who has scrolled down keeps the place, and is told that there is more above.
  async begin() {
    if (this.viewport?.scrollTop > ROW && this.pages.length) {
      this.newer = true;
      this.draw();
      return;
    }
    const found = await this.fetch(null);
    this.pages = [];
    this.newer = false;
    this.#take(null, found);
    this.draw();
    this.#fill();
  }

  #take(cursor, { items, next }) {
    this.pages.push({ cursor, start: this.total, count: items.length, items, next });
  }

  // The element to put into a view.
  element() {
    return h("div", {
      class: "list", key: "list",
      onmount: (node) => this.#mount(node),
    });
  }

  #mount(node) {
    this.node = node;
    this.draw();
    const sizes = new ResizeObserver(() => this.draw());
    sizes.observe(node);
    return () => sizes.disconnect();
  }

  #layout() {
    const whole = this.total * ROW;
    const height = Math.min(whole, HEIGHT_MAX);
    const visible = this.viewport?.clientHeight || 600;
    // Beyond HEIGHT_MAX the scroll position stands for a share of the list, and rows are placed around it.
    const scrolled = this.viewport?.scrollTop ?? 0;
    const share = height > visible ? Math.min(1, scrolled / (height - visible)) : 0;
    const top = whole > height ? share * (whole - visible) : scrolled;
    const first = Math.max(0, Math.floor(top / ROW) - SPARE);
    const last = Math.min(this.total, Math.ceil((top + visible) / ROW) + SPARE);
    return { height, first, last, shift: scrolled - top };
  }

  draw() {
    if (!this.node) return;
    const grid = { "grid-template-columns": this.columns.map((each) => each[3] ?? "1fr").join(" ") };
    const { height, first, last, shift } = this.#layout();
    const rows = [];
    for (let index = first; index < last; index++) rows.push(this.#row(index, shift, grid));
    render(this.node,
      h("div", { class: "table", key: "table", role: "table", "aria-label": this.label, "aria-rowcount": this.isComplete ? this.total : -1 },
        h("div", { role: "rowgroup", class: "list-head" },
          h("div", { role: "row", class: "row", style: grid },
            this.columns.map(([name, , kind]) => h("span", { role: "columnheader", class: kind }, name)))),
        h("div", {
          class: "viewport", key: "viewport", role: "rowgroup", tabindex: "0", onscroll: () => this.#onScroll(),
          onmount: (node) => { this.viewport = node; this.draw(); this.#fill(); },
        }, h("div", { class: "sizer", role: "presentation", style: { height: `${height}px` } }, rows))),
      this.newer && h("button", { class: "newer", key: "newer", type: "button", onclick: () => this.#toTop() }, "There is more above ↑"),
      this.#isEmpty && h("p", { class: "empty", key: "none" }, this.none),
      h("p", { class: "list-foot", key: "foot" }, this.#foot()));
    this.#forget(first, last);
  }

  #row(index, shift, grid) {
    const page = this.#pageOf(index);
    const item = page.items?.[index - page.start];
    const style = { ...grid, transform: `translateY(${index * ROW + shift}px)` };
    if (item === undefined) {
      this.#restore(page);
      return h("div", { role: "row", class: "row pending", key: `?${index}`, style }, h("span", { role: "cell" }, "…"));
    }
    return h("div", { role: "row", class: "row", key: this.keyOf(item), style, "aria-rowindex": index + 1 },
      this.columns.map(([, cell, kind]) => h("span", { role: "cell", class: kind }, cell(item))));
  }

  #pageOf(index) {
    let low = 0;
    let high = this.pages.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.pages[middle].start <= index) low = middle;
      else high = middle - 1;
    }
    return this.pages[low];
  }

  #foot() {
    if (this.failure) return this.failure;
    const shown = this.total.toLocaleString("en");
    return this.isComplete ? `${shown} in all` : this.loading ? `${shown} so far; reading further back …` : `${shown} so far`;
  }

  #onScroll() {
    if (this.newer && this.viewport.scrollTop <= ROW) this.begin().catch((error) => this.#failed(error));
    this.draw();
    this.#fill();
  }

  #toTop() {
    this.viewport.scrollTop = 0;
    this.viewport.focus();
  }

  // Fetches further pages until the visible part is full.
  async #fill() {
    if (this.loading || !this.viewport) return;
    this.loading = true;
    try {
      while (!this.isComplete && this.pages.length && this.#layout().last >= this.total - SPARE && this.node.isConnected) {
        const pages = this.pages;
        const cursor = pages.at(-1).next;
        const found = await this.fetch(cursor);
        if (pages !== this.pages) continue; // the list has begun anew meanwhile
        this.#take(cursor, found);
        this.draw();
      }
    } catch (error) {
      this.#failed(error);
    } finally {
      this.loading = false;
      this.draw();
    }
  }

  async #restore(page) {
    if (page.isAsked) return;
    page.isAsked = true;
    try {
      const { items } = await this.fetch(page.cursor);
      page.items = items.slice(0, page.count);
      this.draw();
    } catch (error) {
      this.#failed(error);
    } finally {
      page.isAsked = false;
    }
  }

  #failed(error) {
    if (error.name === "AbortError") return;
    this.failure = error.message;
    this.draw();
  }

  #forget(first, last) {
    const held = this.pages.filter((page) => page.items);
    if (held.length <= PAGES_KEPT) return;
    const middle = (first + last) / 2;
    held.sort((one, other) => Math.abs(one.start - middle) - Math.abs(other.start - middle));
    for (const page of held.slice(PAGES_KEPT)) page.items = null;
  }
}
