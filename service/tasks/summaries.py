"""Caches the encoded list of the queues for many requests, since computing it visits each live task."""

import time
from typing import NamedTuple

import anyio
import msgspec

from ...journal.cursor import Cursor
from ...tasks.inspection.overview import QueueLine, queue_lines, worker_lines
from ...tasks.state.view import TaskView
from ..backend import Backend
from ..counted import counted
from ..limits import LIST_ITEMS, SUMMARY_SECONDS, SUMMARY_TIME_SHARE
from .paging import page_by_name


class QueueList(msgspec.Struct, frozen=True):
    """The queues by name, as of a moment in seconds since the epoch; `next` is the cursor of the next page."""

    as_of: float
    queues: list[QueueLine]
    next: str | None = None


async def queue_list(view: TaskView, at: float, after: str | None = None, limit: int = LIST_ITEMS) -> QueueList:
    """Return a page of the queues in a view, at a moment in seconds since the epoch."""
    lines = queue_lines(view, await counted(view, at), worker_lines(view, at))
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

    A request makes it anew if it is older than `SUMMARY_SECONDS`, if it lacks an event that this service has written,
    or an event before the cursor that the request names. While workers run, other processes append all the time: for
    their events it is made anew only as often as `SUMMARY_TIME_SHARE` of the service's time allows.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._kept: EncodedQueues | None = None
        self._making = anyio.Lock()

    async def queues(self, at_least: Cursor | None = None) -> EncodedQueues:
        """Return the list of the queues, with the events before `at_least` applied."""
        async with self._making:  # one request counts, and those that come meanwhile wait for it
            begun, kept, cursor = time.monotonic(), self._kept, self.backend.cursor
            if kept is not None and self._is_current(kept, cursor, at_least, begun - kept.made_at):
                return kept
            body = msgspec.json.encode(await queue_list(self.backend.view, time.time()))
            ended = time.monotonic()
            self._kept = EncodedQueues(body, cursor, str(cursor), ended, ended - begun)
            return self._kept

    def _is_current(self, kept: EncodedQueues, cursor: Cursor, at_least: Cursor | None, age: float) -> bool:
        if kept.cursor == cursor:
            return age < SUMMARY_SECONDS
        if age > min(SUMMARY_SECONDS, kept.cost_seconds / SUMMARY_TIME_SHARE):
            return False
        return kept.cursor.reaches(self.backend.written) and (at_least is None or kept.cursor.reaches(at_least))
