"""Collect what running tasks report of their progress, until the worker appends it, at a bounded rate.

The latest report of each name replaces the one before, so a task may report as often as it likes. The longer it
reports, the more rarely its reports are taken.
"""

import threading
import time
from collections.abc import Callable, Hashable

from ...tasks.progress import report_interval
from .around_run import FORKS

Fields = dict[str, bytes]


class _Entry:
    """The reports of one run: `fields` are the latest, `is_new` says whether they were not taken yet.

    The first came at `began_at`, the next are taken from `due_at` on; both monotonic.
    """

    __slots__ = ("began_at", "due_at", "fields", "is_new")

    def __init__(self, began_at: float) -> None:
        self.fields: Fields = {}
        self.is_new = False
        self.began_at = self.due_at = began_at

    def take(self, now: float) -> Fields:
        """Return the latest reports, and put off the next."""
        self.is_new, self.due_at = False, now + report_interval(now - self.began_at)
        return self.fields


class Reported:
    """The reports of all runs of one process, by run; `wake()` is called, in any thread, when there is a new one."""

    def __init__(self, wake: Callable[[], None] = lambda: None, clock: Callable[[], float] = time.monotonic) -> None:
        self._wake = wake
        self._clock = clock
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
                entry = self._entries[run] = _Entry(self._clock())
            entry.fields = {**entry.fields, **fields}
            was_new, entry.is_new = entry.is_new, True
        if not was_new:
            self._wake()

    def take(self) -> list[tuple[Hashable, Fields]]:
        """Return the latest reports of each run that has new ones and may report again."""
        if not self._entries:
            return []
        now = self._clock()
        with self._guard:
            due = [(run, entry) for run, entry in self._entries.items() if entry.is_new and now >= entry.due_at]
            return [(run, entry.take(now)) for run, entry in due]

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
            return min((entry.due_at for entry in self._entries.values() if entry.is_new), default=None)
