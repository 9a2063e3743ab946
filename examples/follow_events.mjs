// Follows the events of a journal, without dependencies, for Node.js 18 or newer:
// `node follow_events.mjs http://127.0.0.1:8080 [topic]` prints each event as a line.
// After an outage it goes on behind the last event that it has printed.
const [service = "http://127.0.0.1:8080", topic = ""] = process.argv.slice(2);
const key = process.env.JOURNEYMAN_KEY;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let cursor, wait = 1_000;

// Yields the frames of a stream of Server-Sent Events, each as its fields.
async function* frames(body) {
  let text = "";
  for await (const piece of body.pipeThrough(new TextDecoderStream())) {
    const blocks = (text + piece).split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const fields = block.split("\n").map((line) => line.match(/^([^:]*): ?(.*)$/).slice(1));
      yield Object.fromEntries(fields);
    }
  }
}

async function follow() {
  const headers = { Accept: "text/event-stream", ...(key && { Authorization: `Bearer ${key}` }) };
  if (cursor) headers["Last-Event-ID"] = cursor;
  const answer = await fetch(`${service}/events?include_sentinel=true&topic=${encodeURIComponent(topic)}`, { headers });
  if (!answer.ok) {
    const { status, detail } = await answer.json();
    if (status < 500 && status !== 429) throw new Error(detail);
    return;
  }
  for await (const { id, event = "message", data, retry } of frames(answer.body)) {
    if (retry) wait = Number(retry);
    if (event === "problem") console.error(JSON.parse(data).detail);
    if (event === "message" && data) console.log(data);
    if (event === "sentinel") console.error("history ends here");
    if (id) cursor = id; // once the event has been handled
  }
}

for (;;) {
  try {
    await follow();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // fetch says so if the service cannot be reached
  }
  await pause(wait);
}
