// The trends of the last hour, which the service reads off the journal.

import { reference } from "./times.js";

const WINDOW_SECONDS = 3_600;
const isThere = false;

// Returns null where the service has none.
export async function trends(visit, parameters) {
  if (!isThere) return null;
  const end = reference();
  return visit.get("trends", { since: (end - WINDOW_SECONDS).toFixed(3), ...parameters }, {});
}
