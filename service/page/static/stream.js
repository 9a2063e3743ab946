// Follows the service's events: Server-Sent Events by fetch, since an EventSource cannot send the key in a header.
//
// It goes on where it stood after a short gap; after a long one, or when it was too slow, with live events.

import { address, headers } from "./service.js";

const SILENCE_MS = 45_000; // the service says every 15 s that it lives
const AGAIN_MS_MAX = 15_000;
const RESUME_MS = 30_000; // after a longer gap the views are fetched anew, and what was missed is not read

export class Stream {
  // `heard(events, cursor)` gets the events of one chunk; `state(word)` is told: "connecting", "live" or "away".
  // `gap()` is called when events may have been missed.
  constructor({ heard, state, gap }) {
    Object.assign(this, { heard, state, gap, cursor: null, heardAt: 0, ended: null });
  }

  start() {
    if (this.ended) return;
    this.ended = new AbortController();
    this.#run(this.ended.signal);
  }

  stop() {
    this.ended?.abort();
    this.ended = null;
  }

  async #run(signal) {
    let wait = 500;
    while (!signal.aborted) {
      this.state("connecting");
      try {
        await this.#follow(signal, () => (wait = 500));
      } catch (error) {
        if (signal.aborted) return;
        if (error.status === 401) return this.state("away");
        if (error.status === 409 || error.status === 410) this.cursor = null;
      }
      if (signal.aborted) return;
      this.state("away");
      await new Promise((resume) => setTimeout(resume, this.retry ?? wait));
      this.retry = null;
      wait = Math.min(2 * wait, AGAIN_MS_MAX);
    }
  }

  async #follow(signal, onOpen) {
    const url = address("events?full=false");
    if (performance.now() - this.heardAt > RESUME_MS) this.cursor = null;
    const resumed = this.cursor ? { "Last-Event-ID": this.cursor } : {};
    const inner = new AbortController();
    const cut = () => inner.abort();
    signal.addEventListener("abort", cut);
    let silence = setTimeout(cut, SILENCE_MS);
    try {
      const answer = await fetch(url, { headers: headers({ Accept: "text/event-stream", ...resumed }), signal: inner.signal });
      if (!answer.ok) throw Object.assign(new Error("refused"), { status: answer.status });
      onOpen();
      this.state("live");
      if (!this.cursor) this.gap();
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        this.heardAt = performance.now();
        clearTimeout(silence);
        silence = setTimeout(cut, SILENCE_MS);
        const frames = (rest + value).split("\n\n");
        rest = frames.pop();
        this.#take(frames);
      }
    } finally {
      clearTimeout(silence);
      signal.removeEventListener("abort", cut);
      inner.abort();
    }
  }

  #take(frames) {
    const events = [];
    for (const frame of frames) {
      let kind = "";
      let data = "";
      for (const line of frame.split("\n")) {
        if (line.startsWith("data: ")) data = line.slice(6);
        else if (line.startsWith("id: ")) this.cursor = line.slice(4);
        else if (line.startsWith("event: ")) kind = line.slice(7);
        else if (line.startsWith("retry: ")) this.retry = Number(line.slice(7));
      }
      if (kind === "again" && data.includes("overrun")) this.cursor = null;
      if (!kind && data) events.push(JSON.parse(data));
    }
    if (events.length) this.heard(events, this.cursor);
  }
}
