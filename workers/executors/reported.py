"""Collect what running tasks report of their progress, until the worker appends it, at a bounded rate.

The latest report of each name replaces the one before, so a task may report as often as it likes.
"""

import threading
import time
from collections.abc import Callable, Hashable

from ...tasks.limits import PROGRESS_EVENTS_PER_SECOND
from .around_run import FORKS

Fields = dict[str, bytes]


class _Entry:
    """The reports of one run: `fields` are the latest, `is_new` says whether they were not taken yet."""

    __slots__ = ("fields", "is_new", "taken_at")

    def __init__(self) -> None:
        self.fields: Fields = {}
        self.is_new = False
        self.taken_at = float("-inf")


class Reported:
    """The reports of all runs of one process, by run; `wake()` is called, in any thread, when there is a new one."""

    def __init__(self, wake: Callable[[], None] = lambda: None) -> None:
        self._wake = wake
        self._entries: dict[Hashable, _Entry] = {}
        self._guard = threading.Lock()
        self._forks = FORKS[0]

    def put(self, run: Hashable, name: str, encoded: bytes) -> None:
        """Take a report of a run, encoded as JSON; ignored in a process that the task has forked."""
        self.put_all(run, {name: encoded})

    def put_all(self, run: Hashable, fields: Fields) -> None:
        """Take several reports of a run at once."""
        if FORKS[0] != self._forks or not fields:
            return
        with self._guard:
            entry = self._entries.get(run)
            if entry is None:
                entry = self._entries[run] = _Entry()
            entry.fields = {**entry.fields, **fields}
            was_new, entry.is_new = entry.is_new, True
        if not was_new:
            self._wake()

    def take(self) -> list[tuple[Hashable, Fields]]:
        """Return the latest reports of each run that has new ones and may report again."""
        if not self._entries:
            return []
        now = time.monotonic()
        with self._guard:
            due = [
                (run, entry)
                for run, entry in self._entries.items()
                if entry.is_new and now >= entry.taken_at + 1 / PROGRESS_EVENTS_PER_SECOND
            ]
            for _, entry in due:
                entry.is_new, entry.taken_at = False, now
            return [(run, entry.fields) for run, entry in due]

    def end(self, run: Hashable) -> Fields:
        """Forget a run that has ended; return its latest reports if they were not taken yet, else nothing."""
        if not self._entries:
            return {}
        with self._guard:
            entry = self._entries.pop(run, None)
        return entry.fields if entry is not None and entry.is_new else {}

    @property
    def next_at(self) -> float | None:
        """When (monotonic) there is something to take next; None if no new report waits."""
        if not self._entries:
            return None
        with self._guard:
            moments = [
                entry.taken_at + 1 / PROGRESS_EVENTS_PER_SECOND for entry in self._entries.values() if entry.is_new
            ]
        return min(moments, default=None)
