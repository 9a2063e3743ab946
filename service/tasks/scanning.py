"""Reads the submissions in the log backwards, the one appended last first, over all partitions and within a bound."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import anyio.lowlevel

from ...journal.async_journal import AsyncJournal
from ...journal.log import Log
from ...tasks.index.records import rows_at
from ...tasks.state import names
from ...tasks.state.state import TaskState
from ..limits import LIST_EVENTS_MAX, LIST_LOOKUP_EVENTS, LIST_STEP_EVENTS
from .filtering import SubmissionContext, submissions

_MARK: Final = b'"task.submitted"'


class Submitted(NamedTuple):
    """A submission in the log; the greatest is the one that was appended last."""

    at: float
    partition: int
    offset: int
    said: SubmissionContext


class _Backwards:
    """Reads the submissions of one partition, the last one first, from `end` (excluded) down to `first`."""

    def __init__(self, log: Log, partition: int, first: int, end: int) -> None:
        self._log, self.partition, self._first = log, partition, first
        self.end = end  # what was taken begins here
        self._read_from = end
        self._waiting: list[Submitted] = []

    async def peek(self) -> tuple[Submitted | None, int]:
        """Return the last submission that was not taken, None if none is left, and how many events were read for it."""
        read = 0
        while not self._waiting and self._read_from > self._first and read < LIST_EVENTS_MAX:
            begin = max(self._first, self._read_from - LIST_STEP_EVENTS)
            self._waiting = await self._window(begin, self._read_from)
            read += self._read_from - begin
            self._read_from = begin
            await anyio.lowlevel.checkpoint()
        if not self._waiting:
            self.end = self._read_from
        return (self._waiting[-1] if self._waiting else None), read

    def take(self) -> None:
        """Take the submission that `peek` has returned."""
        self.end = self._waiting.pop().offset

    @property
    def is_over(self) -> bool:
        """Whether none is left."""
        return not self._waiting and self._read_from <= self._first

    async def _window(self, begin: int, end: int) -> list[Submitted]:
        found: list[Submitted] = []
        while begin < end:
            pages = await self._log.read({self.partition: begin}, end - begin)
            if not pages:
                break
            page = pages[0]
            for offset, row in zip(page.offsets, page.rows, strict=True):
                said = submissions.read(row) if _MARK in row and offset < end else None
                if said is not None and said.name == names.SUBMITTED and said.context.task:
                    found.append(Submitted(said.timestamp, self.partition, offset, said.context))
            begin = page.next_offset
        return found


class SubmissionScan:
    """The submissions before `end`, the newest first, until about `LIST_EVENTS_MAX` events were read."""

    def __init__(self, readers: list[_Backwards]) -> None:
        self._readers = readers
        self._read = 0

    @classmethod
    async def begin(cls, journal: AsyncJournal, end: Mapping[int, int], since: float | None) -> "SubmissionScan":
        """Return a scan of what was submitted at `since`, in seconds since the epoch, or later; None for everything."""
        log = await journal.open()
        first: dict[int, int] = dict((await log.bounds()).first)
        if since is not None:
            begin = await log.position_at(since)
            first = {each: max(first[each], begin.get(each, 0)) for each in first}
        return cls([_Backwards(log, each, first.get(each, 0), offset) for each, offset in end.items()])

    async def take(self) -> Submitted | None:
        """Return the next submission; None if none is left, or enough events were read."""
        if self._read >= LIST_EVENTS_MAX:
            return None
        seen: list[tuple[Submitted, _Backwards]] = []
        for reader in self._readers:
            newest, count = await reader.peek()
            self._read += count
            if newest is not None:
                seen.append((newest, reader))
        if not seen:
            return None
        newest, reader = max(seen, key=lambda each: each[0][:3])
        reader.take()
        self._read += 1
        return newest

    def count_lookup(self) -> None:
        """Count a look-up of a task, which costs as much as many events."""
        self._read += LIST_LOOKUP_EVENTS

    @property
    def place(self) -> list[list[int]] | None:
        """Where another scan goes on, by partition; None if this one has reached the beginning."""
        if all(reader.is_over for reader in self._readers):
            return None
        return [[reader.partition, reader.end] for reader in self._readers]


async def submissions_of(log: Log, tasks: Iterable[TaskState]) -> dict[str, SubmissionContext]:
    """Return the submissions of tasks, by id, as far as the log holds them."""
    places: dict[int, list[int]] = {}
    for task in tasks:
        places.setdefault(task.partition, []).append(task.submitted)
    found: dict[str, SubmissionContext] = {}
    for partition, offsets in places.items():
        for row in (await rows_at(log, partition, sorted(offsets))).values():
            said = submissions.read(row)
            if said is not None and said.name == names.SUBMITTED:
                found[said.context.task] = said.context
    return found
