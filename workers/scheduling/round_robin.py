"""Weighted round-robin among queues that are served fairly. Pure.

Each queue in turn yields as many tasks as its weight; an empty queue loses its turn, without credit for later.
The number of tasks is fair, not the time they take.
"""

from collections import deque
from collections.abc import Mapping


class RoundRobin:
    """The queues that take turns; `weights` are 1 for those that are not named."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        self._weights = weights
        self._queues: deque[str] = deque()
        self._left = 0  # how many more tasks the first queue may yield; 0 before its turn has begun

    def __len__(self) -> int:
        return len(self._queues)

    def __contains__(self, queue: str) -> bool:
        return queue in self._queues

    def add(self, queue: str) -> None:
        """Add a queue, behind the others."""
        self._queues.append(queue)

    def current(self) -> tuple[str, int]:
        """Return the queue whose turn it is, and how many more tasks it may yield."""
        queue = self._queues[0]
        if not self._left:
            self._left = self._weights.get(queue, 1)
        return queue, self._left

    def used(self, count: int, *, empty: bool) -> None:
        """Count tasks taken from the current queue; its turn ends when its weight is used up or it is `empty`."""
        self._left = 0 if empty else self._left - count
        if not self._left:
            self._queues.rotate(-1)

    def remove(self, queue: str) -> None:
        """Remove a queue."""
        if self._queues[0] == queue:
            self._left = 0
        self._queues.remove(queue)
