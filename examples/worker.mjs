// A worker without dependencies, for Node.js 18 or newer: `node worker.mjs http://127.0.0.1:8080`.
// It runs two tasks, renews its lease while one runs, and goes on after an outage of the service.
const [service = "http://127.0.0.1:8080"] = process.argv.slice(2);
const key = process.env.JOURNEYMAN_KEY;
const tasks = {
  add: async (a, b) => a + b,
  resize: async (image, progress) => {
    for (let done = 1; done <= 3; done++) await progress(done, 3);
    return `${image}, smaller`;
  },
};

async function post(what, body) {
  const headers = { "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${key}` }) };
  const answer = await fetch(`${service}/workers/${what}`, { method: "POST", headers, body: JSON.stringify(body) });
  return { status: answer.status, ...(await answer.json()) };
}

async function run({ task, claim, task_name, args }, worker, beatEveryMs) {
  const mine = { worker, task, claim };
  const beat = setInterval(() => post("beat", { worker }).catch(() => {}), beatEveryMs);
  const progress = (done, total) => post("progress", { ...mine, done, total });
  let outcome, report;
  try {
    [outcome, report] = ["complete", { ...mine, result: await tasks[task_name](...args, progress) }];
  } catch (error) {
    const { name, message, stack } = error;
    [outcome, report] = ["retry", { ...mine, error: { name, text: message, traceback: stack } }];
  } finally {
    clearInterval(beat);
  }
  const said = await again(() => post(outcome, report));
  console.log(task_name, task, said.status === 200 ? said.state : said.detail);
}

async function again(call) { // until the service answers
  for (;;) {
    try {
      const answer = await call();
      if (answer.status < 500) return answer;
    } catch { /* it is away */ }
    await new Promise((over) => setTimeout(over, 500));
  }
}

let leaving = false;
process.on("SIGTERM", () => (leaving = true));
let session = await again(() => post("join", { tasks: Object.keys(tasks), host: "node" }));
if (session.status !== 201) throw new Error(session.detail);
console.log("joined", session.worker);
while (!leaving) {
  const claimed = await again(() => post("claim", { worker: session.worker, wait: 2 }));
  if (claimed.status === 410) session = await again(() => post("join", { tasks: Object.keys(tasks), host: "node" }));
  for (const task of claimed.tasks ?? []) await run(task, session.worker, session.beat_every_ms);
}
await post("leave", { worker: session.worker });
