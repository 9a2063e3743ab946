"""Whose turn it is among queues that are served fairly. Pure.

Each queue in turn is good for as many tasks as it weighs; one that has none lets its turn go, and saves nothing up.
Fair is the number of tasks, not the time they take.
"""

from collections import deque
from collections.abc import Mapping


class RoundRobin:
    """The queues that take turns; `weights` are 1 for those that are not named."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        self._weights = weights
        self._queues: deque[str] = deque()
        self._left = 0  # what the first one is still good for; 0 before its turn has begun

    def __len__(self) -> int:
        return len(self._queues)

    def __contains__(self, queue: str) -> bool:
        return queue in self._queues

    def add(self, queue: str) -> None:
        """Let a queue have turns from now on, after the others."""
        self._queues.append(queue)

    def current(self) -> tuple[str, int]:
        """The queue whose turn it is, and how many tasks it is still good for."""
        queue = self._queues[0]
        if not self._left:
            self._left = self._weights.get(queue, 1)
        return queue, self._left

    def used(self, count: int, *, empty: bool) -> None:
        """It has had so many; its turn is over with the last one it was good for, or if it has no more."""
        self._left = 0 if empty else self._left - count
        if not self._left:
            self._queues.rotate(-1)

    def remove(self, queue: str) -> None:
        """A queue has no turns any more."""
        if self._queues[0] == queue:
            self._left = 0
        self._queues.remove(queue)
