// The trends of the last hour, which the service reads off the journal. A view does not wait for them: they are drawn
// when they come, and fetched anew every few seconds while events arrive.

const EVERY_MS = 5_000;

// Returns the trends that are known, null before the first; `parameters` may name a `queue`.
export function trends(visit, parameters = {}) {
  const kept = (visit.state.trends ??= { over: null, asked: -Infinity, moment: undefined, turn: 0 });
  const isOld = kept.moment !== visit.moment || (visit.moment === null && performance.now() - kept.asked > EVERY_MS);
  if (isOld) {
    Object.assign(kept, { asked: performance.now(), moment: visit.moment });
    const turn = ++kept.turn;
    visit.get("trends", parameters).then((over) => {
      if (turn !== kept.turn) return;
      kept.over = over;
      visit.redraw();
    }, (error) => {
      if (turn === kept.turn && error.name !== "AbortError") kept.over = null; // too much to read, or none there
      if (turn === kept.turn && error.name === "AbortError") kept.moment = undefined;
    });
  }
  return kept.over;
}

export const known = (visit) => visit.state.trends?.over ?? null;
