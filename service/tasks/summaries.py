"""The list of the queues, made once for many requests: it takes a look at each live task."""

import time
from typing import NamedTuple

import msgspec

from ...journal.cursor import Cursor
from ...tasks.inspection.overview import QueueLine, queue_lines, worker_lines
from ...tasks.state.view import TaskView
from ..backend import Backend
from ..limits import LIST_ITEMS, SUMMARY_SECONDS, SUMMARY_TIME_SHARE
from .paging import page_by_name


class QueueList(msgspec.Struct, frozen=True):
    """The queues by name, as of a moment in seconds since the epoch; `next` is the cursor of the next page."""

    as_of: float
    queues: list[QueueLine]
    next: str | None = None


def queue_list(view: TaskView, at: float, after: str | None = None, limit: int = LIST_ITEMS) -> QueueList:
    """Return a page of the queues in a view, at a moment in seconds since the epoch."""
    lines = queue_lines(view, at, worker_lines(view, at))
    return QueueList(at, *page_by_name(lines, lambda line: line.name, after, limit))


class EncodedQueues(NamedTuple):
    """The first page of the queues as JSON, the position up to which it speaks, and when it was made."""

    body: bytes
    cursor: Cursor
    header: str
    made_at: float
    cost_seconds: float


class Summaries:
    """Keeps the encoded list of the queues.

    It is made anew after a second at the latest, and before that when an event has come that this service has written,
    or that a request insists on. Events of other processes come without end while workers run; for these it is made
    anew as often as `SUMMARY_TIME_SHARE` of the service's time allows.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._kept: EncodedQueues | None = None

    def queues(self, at_least: Cursor | None = None) -> EncodedQueues:
        """Return the queues, by a view that has read up to `at_least`."""
        begun, kept, cursor = time.monotonic(), self._kept, self.backend.cursor
        if kept is not None and self._is_current(kept, cursor, at_least, begun - kept.made_at):
            return kept
        body = msgspec.json.encode(queue_list(self.backend.view, time.time()))
        ended = time.monotonic()
        self._kept = EncodedQueues(body, cursor, str(cursor), ended, ended - begun)
        return self._kept

    def _is_current(self, kept: EncodedQueues, cursor: Cursor, at_least: Cursor | None, age: float) -> bool:
        if kept.cursor == cursor:
            return age < SUMMARY_SECONDS
        if age > min(SUMMARY_SECONDS, kept.cost_seconds / SUMMARY_TIME_SHARE):
            return False
        return kept.cursor.reaches(self.backend.written) and (at_least is None or kept.cursor.reaches(at_least))
