"""Which tasks a worker claims, and in which order: fixed when it starts, and written into its `joined` event.

- Queues match by exact name, and their list is an order of preference. A queue may be narrowed to some tasks by name;
  the list of these names is an order of preference, too.
- Strict order empties a preferred queue before the next one; fair order serves the queues round-robin, by weight.
- Ageing lets a waiting task gain one step of priority for each period. All tasks gain at the same pace, so the order of
  two tasks never changes: they compare by the time since when they wait, plus a period for each step of priority. So no
  clock is needed, and a task is overtaken only by tasks that begin to wait within a bounded time after it: a period
  for each step of priority between the two.
"""

from typing import Any, Final, Literal

import msgspec

from ...journal.row_decoder import Whole

QueueOrder = Literal["strict", "fair"]
QUEUE_ORDERS: Final = ("strict", "fair")

# For each queue its place in the order of preference, or the places of the tasks to which it is narrowed.
Ranks = dict[str, int | dict[str, int]]


class Selection(msgspec.Struct, frozen=True, omit_defaults=True):
    """The tasks that one worker claims.

    - `queues`: the queues it serves, in order of preference; None for all, without preference.
    - `tasks`: for the queues that are narrowed, the names of the tasks it takes from there, in order of preference.
    - `order`: "strict" or "fair"; `weights`: how many tasks a queue yields at a turn, if not one.
    - `ageing_ms`: after so many ms of waiting a task gains a step of priority; 0 for never.
    """

    queues: tuple[str, ...] | None = None
    tasks: dict[str, tuple[str, ...]] = {}
    order: QueueOrder = "strict"
    weights: dict[str, Whole] = {}
    ageing_ms: Whole = 0

    def serves(self, queue: str, task: str) -> bool:
        """Return whether the worker claims tasks of that name in that queue."""
        if self.queues is None:
            return True
        return queue in self.queues and task in self.tasks.get(queue, (task,))

    def ranks(self) -> Ranks | None:
        """Return the places in the order of preference, over queues and tasks in them; None without preference."""
        if self.queues is None:
            return None
        ranks: Ranks = {}
        place = 0
        for queue in self.queues:
            named = self.tasks.get(queue)
            ranks[queue] = place if named is None else {task: place + index for index, task in enumerate(named)}
            place += 1 if named is None else len(named)
        return ranks

    def stands(self, priority: int, since: float) -> tuple[float, float]:
        """Return the sort key of a task of that priority, waiting since then (seconds since the epoch); least first."""
        if not self.ageing_ms:
            return priority, since
        return aged(priority, since, self.ageing_ms / 1_000), priority

    def said(self) -> dict[str, Any]:
        """Return the fields other than `queues` that differ from their defaults, as plain data."""
        rest: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(self, queues=None))
        return rest


EVERYTHING: Final = Selection()


def rank_in(ranks: Ranks | None, queue: str, task: str) -> int:
    """Return the place of a served task in the order of preference; 0 without preference."""
    place = ranks[queue] if ranks is not None else 0
    return place if isinstance(place, int) else place[task]


def aged(priority: int, since: float, period: float) -> float:
    """Return the sort key of a task under ageing: the time since when it waits, a period later for each step."""
    return since + priority * period


def waiting_since(submitted_at: float, due: float) -> float:
    """Return since when a task waits: its submission, or the end of its delay or backoff."""
    return max(submitted_at, due)


def selection_of(queues: tuple[str, ...] | None, said: Selection | None) -> Selection:
    """Return the selection of a worker from the fields of its `joined` event."""
    return msgspec.structs.replace(said or EVERYTHING, queues=queues)
