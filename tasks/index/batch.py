"""A stretch of one partition, as the index takes it in: which tasks and workers its events are about. Pure.

The decoders are those of the fold, so a record that the fold cannot read is not in the index either.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

import msgspec

from ...journal.event import Event
from ...journal.fingerprint import fingerprint, fingerprint_of
from ...journal.limits import KEY_CHARS_MAX
from ...journal.log import Page
from ...journal.row_decoder import Name, RowDecoder
from ..state import names
from ..state.decoding import FactContext, task_facts
from .entries import FOREIGN, KINDS, NOWHERE, SUBMITTED, Entry, Mark, WorkerEvents


class _Other(msgspec.Struct, gc=False):
    """What is decoded of an event that is not about a task."""

    name: Name
    context: FactContext = msgspec.field(default_factory=FactContext)
    key: str | None = None


_others: Final = RowDecoder(_Other)
_SESSION_NAMES: Final = frozenset({names.JOINED, names.LEFT, names.EXPIRED})


class Batch:
    """The events of one partition from `base` up to, not including, `next_offset`.

    `tasks` holds, for each task's id, the kinds and offsets of its events in turn. It has no `lines`, as `Bulk` has.
    """

    lines: Final[Sequence[bytes]] = ()

    def __init__(self, partition: int, base: int) -> None:
        self.partition = partition
        self.base = self.next_offset = base
        self.events = 0
        self.tasks: dict[str, list[int]] = {}
        # Other events that have a key: it may be a task's.
        self.keyed: dict[str, list[int]] = {}
        self._marks: dict[str, list[Mark]] = {}
        self._signs: dict[str, int] = {}
        self._latest: Page | None = None
        self._submission: Event | None = None  # the last event, where it was taken by itself

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its last event."""
        if self._submission is not None:
            return fingerprint_of(self._submission.writer, self._submission.seq)
        assert self._latest is not None, "only a batch that holds events is written"
        return fingerprint(self._latest.rows[-1])

    def row(self, offset: int) -> bytes | None:
        """The record at `offset`, if it was in the page that was taken in last: there it nearly always is."""
        page = self._latest
        if page is None or not page.offsets[0] <= offset < page.next_offset:
            return None
        index = bisect_left(page.offsets, offset)
        return page.rows[index] if page.offsets[index] == offset else None

    def take(self, page: Page) -> None:
        """Take in the page that comes next."""
        self.take_rows(page.offsets, page.rows)
        self.events += len(page.rows)
        self.next_offset = page.next_offset
        self._latest, self._submission = page, None

    def take_rows(self, offsets: Sequence[int], rows: Sequence[bytes]) -> None:
        """Take in some records, in order, as part of a stretch."""
        tasks, signs, kind_of = self.tasks, self._signs, KINDS.get
        for offset, row, said in zip(offsets, rows, task_facts(rows), strict=True):
            if said is None:
                continue
            kind = kind_of(said.name)
            if kind is None:
                self._take_other(row, offset)
                continue
            context = said.context
            known = tasks.get(context.task)
            if known is not None:
                known += (kind, offset)
            elif context.task:
                tasks[context.task] = [kind, offset]
            if context.worker and kind != SUBMITTED:
                signs[context.worker] = offset

    def take_submission(self, event: Event) -> None:
        """Take in the event that comes next, the submission of the task that is its key, by its position alone."""
        self.tasks.setdefault(str(event.key), []).extend((SUBMITTED, event.offset))
        self.events += 1
        self.next_offset = event.offset + 1
        self._submission = event

    def may_hold(self, task_id: str) -> bool:
        """Whether there is an event of the task, or another one under its key."""
        return task_id in self.tasks or task_id in self.keyed

    def _take_other(self, row: bytes, offset: int) -> None:
        said = _others.read(row)
        if said is None:
            return  # another program's event, whose context holds something else under our words
        name, context, signs = said.name, said.context, self._signs
        worker = context.worker
        if name in _SESSION_NAMES:
            if name == names.EXPIRED and context.by:
                signs[context.by] = offset
            if 0 < len(worker) <= KEY_CHARS_MAX:
                mark = Mark(name, offset, signs.pop(worker, NOWHERE), context.last)
                self._marks.setdefault(worker, []).append(mark)
            return
        if worker:
            signs[worker] = offset
        if said.key and name not in names.WORKER_EVENTS:
            self.keyed.setdefault(said.key, []).append(offset)

    def expiries(self) -> list[tuple[str, Mark]]:
        """Where workers are said to have been silent, each with the worker."""
        return [(worker, mark) for worker, marks in self._marks.items() for mark in marks if mark.name == names.EXPIRED]

    def correct(self, worker: str, mark: Mark, sign: int) -> None:
        """Say which was the last sign of life before an expiry, where not all events of the worker were taken in."""
        self._marks[worker] = [each._replace(sign=sign) if each == mark else each for each in self._marks[worker]]

    def entries_of(self, task_id: str) -> list[Entry]:
        """The events of a task, in order."""
        known = self.tasks.get(task_id, ())
        found = [Entry(self.partition, known[i + 1], known[i]) for i in range(0, len(known), 2)]
        found += [Entry(self.partition, offset, FOREIGN) for offset in self.keyed.get(task_id, ())]
        return sorted(found)

    def workers(self) -> dict[str, WorkerEvents]:
        """What it holds of each worker."""
        return {worker: self.events_of(worker) for worker in {*self._marks, *self._signs}}

    def events_of(self, worker: str) -> WorkerEvents:
        """What it holds of one worker."""
        marks: Sequence[Mark] = self._marks.get(worker, ())
        return WorkerEvents(marks, self._signs.get(worker, NOWHERE))
