"""Which tasks a worker claims, and what comes first. Settled when the worker starts, and said when it joins.

- Queues are named exactly; a list of them is an order of preference, and so are the tasks to which one is narrowed.
- Strict order empties what is preferred before it looks at the next; fair order lets the queues take turns, by weight.
- Ageing lets a waiting task gain one step of priority for each period. As all of them gain at the same pace, two tasks
  compare as they always will: by the moment since when they wait, put back by a period for each step of priority. So
  no clock is needed, and a task is overtaken only by what was submitted within so many periods after it.
"""

from typing import Any, Final, Literal

import msgspec

from ...journal.row_decoder import Whole

QueueOrder = Literal["strict", "fair"]
QUEUE_ORDERS: Final = ("strict", "fair")

# For each queue its place in the order of preference, or the places of the tasks to which it is narrowed.
Ranks = dict[str, int | dict[str, int]]


class Selection(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one worker claims.

    - `queues`: those it serves, in order of preference; None for all, alike.
    - `tasks`: for the queues that are narrowed, the names of the tasks it takes from there, in order of preference.
    - `order`: "strict" or "fair"; `weights`: how many tasks a queue is good for at a turn, if not one.
    - `ageing_ms`: after so many ms of waiting a task gains a step of priority; 0 for never.
    """

    queues: tuple[str, ...] | None = None
    tasks: dict[str, tuple[str, ...]] = {}
    order: QueueOrder = "strict"
    weights: dict[str, Whole] = {}
    ageing_ms: Whole = 0

    def serves(self, queue: str, task: str) -> bool:
        """Whether a task of that name in that queue is among what it claims."""
        if self.queues is None:
            return True
        return queue in self.queues and task in self.tasks.get(queue, (task,))

    def ranks(self) -> Ranks | None:
        """The places in the order of preference, counted over queues and the tasks in them; None if all are alike."""
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
        """What a task of that priority, waiting since then (seconds since the epoch), is compared by; less is first."""
        if not self.ageing_ms:
            return priority, since
        return aged(priority, since, self.ageing_ms / 1_000), priority

    def said(self) -> dict[str, Any]:
        """What is worth saying beside the queues, as plain data; empty if nothing is."""
        rest: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(self, queues=None))
        return rest


EVERYTHING: Final = Selection()


def rank_in(ranks: Ranks | None, queue: str, task: str) -> int:
    """The place in the order of preference of a task that is served; 0 where all are alike."""
    place = ranks[queue] if ranks is not None else 0
    return place if isinstance(place, int) else place[task]


def aged(priority: int, since: float, period: float) -> float:
    """Where ageing puts a task among the others: the moment since when it waits, a period later for each step."""
    return since + priority * period


def waiting_since(submitted_at: float, due: float) -> float:
    """Since when a task waits: its submission, or the moment at which its delay or backoff is over."""
    return max(submitted_at, due)


def selection_of(queues: tuple[str, ...] | None, said: Selection | None) -> Selection:
    """The selection of a worker that said this of itself."""
    return msgspec.structs.replace(said or EVERYTHING, queues=queues)
