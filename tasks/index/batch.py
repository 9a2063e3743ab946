"""Collect the events of one stretch of a partition for the index, by task and worker. Pure.

The decoders are those of the fold, so a record that the fold cannot read is not in the index either.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from ...journal.depth import SHALLOW_BYTES
from ...journal.event import Event
from ...journal.fingerprint import fingerprint, fingerprint_of
from ...journal.limits import KEY_CHARS_MAX
from ...journal.log import Page, Text
from ...journal.row_decoder import Name, RowDecoder
from ..state import names
from ..state.decoding import FactContext, TaskFact, task_facts, task_facts_in
from ..state.routing import submitted_id
from .entries import (
    CLAIMED,
    FAILED,
    FOREIGN,
    KINDS,
    NOWHERE,
    SUBMITTED,
    SUCCEEDED,
    IndexEntry,
    SessionMark,
    WorkerEvents,
)


class _Other(msgspec.Struct, gc=False):
    """The fields decoded of an event that is not about a task."""

    name: Name
    context: FactContext = msgspec.field(default_factory=FactContext)
    key: str | None = None


_others: Final = RowDecoder(_Other)
_SESSION_NAMES: Final = frozenset({names.JOINED, names.LEFT, names.EXPIRED})


class Batch:
    """The events of one partition from `base` up to, not including, `next_offset`.

    For each task it holds the offsets of its first submission, claim and end in this stretch, `NOWHERE` if there is
    none: `numbers` has the task's place in the three arrays, by its id. `more` holds, by that place, the offsets and
    kinds of its other events.
    """

    def __init__(self, partition: int, base: int) -> None:
        self.partition = partition
        self.base = self.next_offset = base
        self.events = 0
        self.numbers: dict[str, int] = {}
        self.submitted, self.claimed, self.ended = array("q"), array("q"), array("q")
        self.more: dict[int, list[tuple[int, int]]] = {}
        self._failed: set[int] = set()  # the tasks whose first end is a failure
        # Other events that have a key: it may be a task's.
        self.keyed: dict[str, list[int]] = {}
        self._marks: dict[str, list[SessionMark]] = {}
        self._signs: dict[str, int] = {}
        self._latest: Page | None = None
        self._last: bytes | None = None  # the last record
        self._submission: Event | None = None  # the last event, where it was taken by itself

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its last event."""
        if self._submission is not None:
            return fingerprint_of(self._submission.writer, self._submission.seq)
        assert self._last is not None, "only a batch that holds events is written"
        return fingerprint(self._last)

    def row(self, offset: int) -> bytes | None:
        """Return the record at `offset` if it is in the page added last, where it nearly always is; else None."""
        page = self._latest
        if page is None or not page.offsets[0] <= offset < page.next_offset:
            return None
        index = bisect_left(page.offsets, offset)
        return page.rows[index] if page.offsets[index] == offset else None

    def take(self, page: Page) -> None:
        """Add the next page."""
        self.take_rows(page.offsets, page.rows)
        self._went_on(len(page.rows), page.next_offset, page.rows[-1])
        self._latest = page

    def take_text(self, text: Text) -> bool:
        """Add the next records; return False, with nothing added, if they have to be read as a page."""
        said = task_facts_in(text.lines) if text.longest <= SHALLOW_BYTES else None
        if said is None or len(said) != text.events:
            return False
        rows: list[bytes] = []
        for offset in self._take_facts(range(text.offset, text.offset + text.events), said):
            rows = rows or text.lines.split(b"\n")
            self._take_other(rows[offset - text.offset], offset)
        self._went_on(text.events, text.offset + text.events, text.lines[text.lines.rfind(b"\n") + 1 :])
        return True

    def _went_on(self, count: int, next_offset: int, last: bytes) -> None:
        self.events += count
        self.next_offset = next_offset
        self._latest, self._last, self._submission = None, last, None

    def take_rows(self, offsets: Sequence[int], rows: Sequence[bytes]) -> None:
        """Add some records of the stretch, in order."""
        found = dict(zip(offsets, rows, strict=True))
        for offset in self._take_facts(offsets, task_facts(rows)):
            self._take_other(found[offset], offset)

    def _take_facts(self, offsets: Iterable[int], facts: Iterable[TaskFact | None]) -> Iterator[int]:
        """Add the events about tasks, and yield the offsets of the others as they come."""
        numbers, signs, kind_of = self.numbers, self._signs, KINDS.get
        submitted, claimed, ended = self.submitted, self.claimed, self.ended
        firsts = {SUBMITTED: submitted, CLAIMED: claimed, SUCCEEDED: ended, FAILED: ended}
        for offset, said in zip(offsets, facts, strict=True):
            if said is None:
                continue
            kind = kind_of(said.name)
            if kind is None:
                yield offset
                continue
            context = said.context
            task = context.task
            if task:
                number = numbers.get(task)
                if number is None:
                    number = numbers[task] = len(submitted)
                    submitted.append(NOWHERE)
                    claimed.append(NOWHERE)
                    ended.append(NOWHERE)
                first = firsts.get(kind)
                if first is None or first[number] != NOWHERE:
                    self.more.setdefault(number, []).append((offset, kind))
                else:
                    first[number] = offset
                    if kind == FAILED:
                        self._failed.add(number)
            if kind != SUBMITTED and context.worker:
                signs[context.worker] = offset

    def take_submission(self, event: Event) -> None:
        """Add the next event, which is a submission, without its record."""
        task_id = submitted_id(event.key, bytes(event.context_json))
        number = self.numbers.setdefault(task_id, len(self.submitted))
        if number == len(self.submitted):
            self.submitted.append(event.offset)
            self.claimed.append(NOWHERE)
            self.ended.append(NOWHERE)
        elif self.submitted[number] == NOWHERE:
            self.submitted[number] = event.offset
        else:
            self.more.setdefault(number, []).append((event.offset, SUBMITTED))
        self.events += 1
        self.next_offset = event.offset + 1
        self._submission = event

    def may_hold(self, task_id: str) -> bool:
        """Whether there is an event of the task, or another one under its key."""
        return task_id in self.numbers or task_id in self.keyed

    def _take_other(self, row: bytes, offset: int) -> None:
        said = _others.read(row)
        if said is None:
            return  # another program's event, with fields of the same names but other types
        name, context, signs = said.name, said.context, self._signs
        worker = context.worker
        if name in _SESSION_NAMES:
            if name == names.EXPIRED and context.by:
                signs[context.by] = offset
            if 0 < len(worker) <= KEY_CHARS_MAX:
                mark = SessionMark(name, offset, signs.pop(worker, NOWHERE), context.last)
                self._marks.setdefault(worker, []).append(mark)
            return
        if worker:
            signs[worker] = offset
        if said.key and name not in names.WORKER_EVENTS:
            self.keyed.setdefault(said.key, []).append(offset)

    def holds_submission(self, task_id: str) -> bool:
        """Whether the first event of the task here is its submission."""
        number = self.numbers.get(task_id)
        return number is not None and self.task_entries(task_id)[0].kind == SUBMITTED

    def holds_joining(self, worker: str) -> bool:
        """Whether the first event here that begins or ends a session of the worker begins one."""
        marks: Sequence[SessionMark] = self._marks.get(worker, ())
        return len(marks) > 0 and marks[0].name == names.JOINED

    def session_workers(self) -> list[str]:
        """Return the workers of the events that begin or end sessions."""
        return list(self._marks)

    def expiries(self) -> list[tuple[str, SessionMark]]:
        """Return the expiries, each with its worker."""
        return [(worker, mark) for worker, marks in self._marks.items() for mark in marks if mark.name == names.EXPIRED]

    def correct(self, worker: str, mark: SessionMark, sign: int) -> None:
        """Set the last sign of life before an expiry, if not all events of the worker were added."""
        self._marks[worker] = [each._replace(sign=sign) if each == mark else each for each in self._marks[worker]]

    def task_entries(self, task_id: str) -> list[IndexEntry]:
        """The events of a task, in order."""
        number = self.numbers.get(task_id)
        if number is None:
            return []
        first = (
            (self.submitted[number], SUBMITTED),
            (self.claimed[number], CLAIMED),
            (self.ended[number], self.end_kind(number)),
        )
        found = [*self.more.get(number, ()), *(each for each in first if each[0] != NOWHERE)]
        return sorted(IndexEntry(self.partition, offset, kind) for offset, kind in found)

    def end_kind(self, number: int) -> int:
        """The kind of the event with which a task ended here for the first time."""
        return FAILED if number in self._failed else SUCCEEDED

    def entries_of(self, task_id: str) -> list[IndexEntry]:
        """The events of a task, and those of other programs under its key, in order."""
        foreign = [IndexEntry(self.partition, offset, FOREIGN) for offset in self.keyed.get(task_id, ())]
        return sorted([*self.task_entries(task_id), *foreign])

    def workers(self) -> dict[str, WorkerEvents]:
        """Return the events of each worker."""
        return {worker: self.events_of(worker) for worker in {*self._marks, *self._signs}}

    def events_of(self, worker: str) -> WorkerEvents:
        """Return the events of one worker."""
        marks: Sequence[SessionMark] = self._marks.get(worker, ())
        return WorkerEvents(marks, self._signs.get(worker, NOWHERE))
