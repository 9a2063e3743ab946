"""Reads the submissions in the log backwards, the one appended last first, over all partitions and within a bound."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from ...journal.async_journal import AsyncJournal
from ...journal.log import Log, Page
from ...tasks.index.records import rows_at
from ...tasks.state import names
from ...tasks.state.state import TaskState
from ..backwards import BackwardsReader, take_newest
from ..limits import LIST_EVENTS_MAX, LIST_LOOKUP_EVENTS
from .filtering import SubmissionContext, submissions

_MARK: Final = b'"task.submitted"'


class Submitted(NamedTuple):
    """A submission in the log; the greatest is the one that was appended last."""

    at: float
    partition: int
    offset: int
    said: SubmissionContext


def _submissions_in(page: Page) -> list[Submitted]:
    """Return the submissions in a page of the log."""
    found: list[Submitted] = []
    for offset, row in zip(page.offsets, page.rows, strict=True):
        said = submissions.read(row) if _MARK in row else None
        if said is not None and said.name == names.SUBMITTED and said.context.task:
            found.append(Submitted(said.timestamp, page.partition, offset, said.context))
    return found


class SubmissionScan:
    """The submissions before `end`, the newest first, until about `LIST_EVENTS_MAX` events were read."""

    def __init__(self, readers: list[BackwardsReader[Submitted]]) -> None:
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
        readers = [BackwardsReader(log, each, first.get(each, 0), at, _submissions_in) for each, at in end.items()]
        return cls(readers)

    async def take(self) -> Submitted | None:
        """Return the next submission; None if none is left, or enough events were read."""
        if self._read >= LIST_EVENTS_MAX:
            return None
        newest, read = await take_newest(self._readers, lambda each: each[:3])
        self._read += read
        if newest is None:
            return None
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
