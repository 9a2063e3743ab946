"""Import events from lines into a journal, each once, with its original writer, number and time.

Imports are idempotent. The journal itself records their progress: an event's identity, its writer and number, is
stored with the event atomically. So an interrupted import is continued by importing the same file again, a second
import of a file adds nothing, and overlapping files are merged; there is no separate state that could be lost or
wrong. An import begins with one pass over the journal.

These events are refused, because the result could not be exact:

- an event that the journal lacks although it has later events of the same writer: a writer's numbers ascend within a
  partition, and readers would drop an event with a lower number as a repeat;
- an event older than all remaining events of a trimmed journal: whether it was removed or never there is unknown;
- an event that refers to others by their positions, unless it gets its original position: see `Importer`.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

import msgspec

from ...journal.async_journal import AsyncJournal
from ...journal.cursor import Position
from ...journal.errors import JournalError
from ...journal.event import Draft, Event
from ...journal.event_decoding import time_in
from ...journal.limits import BATCH_BYTES_MAX, EVENT_OVERHEAD_BYTES_MAX, KEY_CHARS_MAX, NAME_CHARS_MAX
from ...journal.log import Log
from ...journal.row_decoder import RowDecoder, Whole
from ..limits import IMPORT_BATCH_EVENTS, SCAN_STEP_EVENTS
from .lines import BadLine, Line, parse

Progress = Callable[[int, int], None]


class Placed(NamedTuple):
    """An event to be imported, and its position in the journal."""

    line: Line
    position: Position


class Relocator(Protocol):
    """Places events that refer to one another by position in a journal whose keys belong to other partitions."""

    def place(self, line: Line) -> Iterable[Placed]:
        """Return the events for the next line; `ValueError` if it cannot be placed."""
        ...


_OVERHEAD: Final = EVENT_OVERHEAD_BYTES_MAX + NAME_CHARS_MAX + 6 * KEY_CHARS_MAX


class Imported(msgspec.Struct):
    """The result of an import.

    `added` events are new, `known` were already in the journal. `restamped` were stored with a later time than their
    own, because times close together ascend along the journal. `bad` lines were left out; `reasons` are those of the
    first of them. `unreadable` records of the journal are not events, and were not compared.
    """

    lines: int = 0
    added: int = 0
    known: int = 0
    restamped: int = 0
    bad: int = 0
    unreadable: int = 0
    reasons: list[str] = msgspec.field(default_factory=list)


class Importer:
    """Imports lines into `journal`.

    - `writer`: lines without a writer and a number are attributed to this writer, numbered by line.
    - `skip_bad`: leave bad lines out and count them, at most `reasons_kept` with their reasons, instead of stopping.
    - `positional(name)`: whether events of that name refer to others by position, as those of tasks, workers and locks
      do. At other positions their meaning would change: such a journal's tasks would run again. They are accepted only
      if they get the position in their line, unless `moved`. The key of a task's event must belong to the partition it
      is imported into, or later events of the task would go to another.
    - `relocate(log)`: returns the `Relocator` that places all events, for another number of partitions.
    """

    def __init__(
        self,
        journal: AsyncJournal,
        *,
        writer: str | None = None,
        skip_bad: bool = False,
        reasons_kept: int = 20,
        positional: Callable[[str], bool] = lambda _: False,
        moved: bool = False,
        relocate: Callable[[Log], Relocator] | None = None,
    ) -> None:
        self._relocate = relocate
        self._relocator: Relocator | None = None
        self.done = Imported()
        self._journal = journal
        self._writer = writer
        self._skip_bad = skip_bad
        self._reasons_kept = reasons_kept
        self._positional = positional if not moved else lambda _: False
        self._log: Log
        self._seen = _Identities()
        self._ends: dict[int, int] = {}
        self._first_times: dict[int, float] = {}
        self._drafts: list[Draft] = []
        self._expected: list[Position | None] = []
        self._size = 0

    async def prepare(self, progress: Progress = lambda _done, _all: None) -> None:
        """Read the journal's identities; `progress(done, all)` is called with the number of events read."""
        self._log = await self._journal.open()
        bounds = await self._log.bounds()
        self._ends = dict(bounds.end)
        self._relocator = self._relocate(self._log) if self._relocate is not None else None
        everything = sum(bounds.end.values()) - sum(bounds.first.values())
        done = 0
        for partition, first in bounds.first.items():
            offset = first
            while offset < bounds.end[partition]:
                limit = min(SCAN_STEP_EVENTS, bounds.end[partition] - offset)
                pages = await self._log.read({partition: offset}, limit)
                if not pages:
                    break
                if offset == first > 0:
                    self._first_times[partition] = time_in(pages[0].rows[0]) or 0.0
                self.done.unreadable += self._seen.add_rows(partition, pages[0].rows)
                done += pages[0].next_offset - offset
                offset = pages[0].next_offset
                progress(done, everything)

    async def take(self, lines: Iterable[bytes]) -> Imported:
        """Import these lines; call once, after `prepare`. `done` has the result so far at any time.

        `BadLine` stops it; the lines before are then in the journal, and importing the corrected file continues.
        """
        for number, text in enumerate(lines, 1):
            self.done.lines = number
            if not text.strip():
                continue
            try:
                self._take(number, parse(number, text))
            except BadLine as error:
                await self._note_bad(error)
            if len(self._drafts) >= IMPORT_BATCH_EVENTS or self._size >= BATCH_BYTES_MAX // 2:
                await self._append()
        await self._append()
        return self.done

    async def _note_bad(self, error: BadLine) -> None:
        if not self._skip_bad:
            await self._append()
            raise error
        self.done.bad += 1
        if len(self.done.reasons) < self._reasons_kept:
            self.done.reasons.append(str(error))

    def _take(self, number: int, line: Line) -> None:
        """Add the event of a line to the next append, unless it is already in the journal."""
        if self._relocator is not None:
            self._take_relocated(number, line, self._relocator)
            return
        writer, seq = self._identity(number, line)
        if self._seen.has(writer, seq):
            self.done.known += 1
            return
        positional, place = self._positional(line.name), line.place()
        if place is not None and place.partition in self._ends and (line.key is None or positional):
            partition = place.partition
        else:  # an event belongs to its key's partition
            partition = self._log.partition_of(line.key)
        expected = self._expect(number, line, partition) if positional else None
        self._put(number, line, (writer, seq), partition, expected)

    def _take_relocated(self, number: int, line: Line, relocator: Relocator) -> None:
        """Add the events for a line to the next append, each at its position."""
        line.writer, line.seq = self._identity(number, line)
        try:
            placed = list(relocator.place(line))
        except ValueError as error:
            raise BadLine(number, f"{error}; a whole export can be imported by key, and nothing else") from error
        for each, position in placed:
            if self._seen.has(each.writer, each.seq):
                self.done.known += 1
                continue
            if position.offset != self._ends[position.partition]:
                raise BadLine(
                    number,
                    f"the event {line.name!r} belongs at {position.partition}:{position.offset}, but the next offset "
                    f"there is {self._ends[position.partition]}. Import by key into an empty journal that no other "
                    "program uses, or continue with the same export.",
                )
            self._put(number, each, (each.writer, each.seq), position.partition, position)

    def _put(
        self, number: int, line: Line, identity: tuple[str, int], partition: int, expected: Position | None
    ) -> None:
        draft = line.draft(number, partition, identity)
        self._refuse_stale(number, line, *identity, partition)
        self._seen.add(partition, *identity)
        self._ends[partition] += 1
        self._drafts.append(draft)
        self._expected.append(expected)
        self._size += len(draft.context) + _OVERHEAD

    def _identity(self, number: int, line: Line) -> tuple[str, int]:
        if line.writer and line.seq:
            return line.writer, line.seq
        if self._writer is None or line.writer or line.seq:
            raise BadLine(
                number,
                f"expected a writer and a seq from 1 up, which identify the event; got {line.writer!r} and "
                f"{line.seq}. For a file without any, give a writer for all its lines.",
            )
        return self._writer, number

    def _refuse_stale(self, number: int, line: Line, writer: str, seq: int, partition: int) -> None:
        highest = self._seen.highest(partition, writer)
        if seq < highest:
            raise BadLine(
                number,
                f"the event {seq} of the writer {writer} is not in the journal, but its event {highest} is; readers "
                "would drop the earlier one as a repeat. Import a writer's events in their order, into a new journal.",
            )
        if line.timestamp < self._first_times.get(partition, 0.0):
            raise BadLine(
                number,
                "it is older than the journal's first remaining event; whether retention has removed it is unknown. "
                "Import into a new journal.",
            )

    def _expect(self, number: int, line: Line, partition: int) -> Position:
        """Return the next position for an event whose position matters; refuse one with another original position."""
        lands = Position(partition, self._ends[partition])
        if line.key is not None and line.name.startswith("task.") and self._log.partition_of(line.key) != partition:
            raise BadLine(
                number,
                f"the event {line.name!r} of the key {line.key!r:.80} was in partition {partition}; in this journal "
                f"that key belongs to partition {self._log.partition_of(line.key)}, where later events of the task "
                "would go. Import the whole export by key (--by-key) into an empty journal.",
            )
        if line.place() != lands:
            raise BadLine(
                number,
                f"the event {line.name!r} was at {line.position or 'an unknown position'} and would be at "
                f"{lands.partition}:{lands.offset}; tasks and workers refer to one another by position. Import a whole "
                "export into an empty journal with as many partitions, or leave such events out of the export; "
                "or accept that they move, for reading only: workers there would run finished tasks again.",
            )
        return lands

    async def _append(self) -> None:
        drafts, expected = self._drafts, self._expected
        self._drafts, self._expected, self._size = [], [], 0
        if not drafts:
            return
        events = await self._journal.append_drafts(drafts)
        self.done.added += len(events)
        for draft, event, lands in zip(drafts, events, expected, strict=True):
            self.done.restamped += _is_later(event, draft)
            if lands is not None and event.position != lands:
                raise JournalError(
                    f"another program appended to the journal {self._journal.url} during the import: the event "
                    f"{event.name!r} is at {event.partition}:{event.offset} and not at {lands.partition}:"
                    f"{lands.offset}, to which others refer. Import into an empty journal that no other program uses."
                )


def _is_later(event: Event, draft: Draft) -> bool:
    return draft.timestamp is not None and event.timestamp > draft.timestamp + 1e-6


class _Identity(msgspec.Struct, gc=False):
    writer: str = ""
    seq: Whole = 0


_identities: Final = RowDecoder(_Identity)


class _Identities:
    """The identities in the journal: each writer's numbers as ranges, and its highest number in each partition."""

    def __init__(self) -> None:
        self._ranges: dict[str, list[list[int]]] = {}
        self._highest: dict[tuple[int, str], int] = {}

    def add_rows(self, partition: int, rows: Iterable[bytes]) -> int:
        """Add the identities of records; return how many records are not events and have none."""
        bad = 0
        for found in map(_identities.read, rows):
            if found is None:
                bad += 1
            elif found.seq > 0:
                self.add(partition, found.writer, found.seq)
        return bad

    def add(self, partition: int, writer: str, seq: int) -> None:
        """Add the identity of one event."""
        key = (partition, writer)
        if seq > self._highest.get(key, 0):
            self._highest[key] = seq
        ranges = self._ranges.setdefault(writer, [])
        at = bisect_right(ranges, seq, key=lambda each: each[0])
        before = ranges[at - 1] if at else None
        if before is not None and seq <= before[1]:
            return
        after = ranges[at] if at < len(ranges) and ranges[at][0] == seq + 1 else None
        if before is not None and before[1] == seq - 1:
            before[1] = seq if after is None else after[1]
            if after is not None:
                del ranges[at]
        elif after is not None:
            after[0] = seq
        else:
            ranges.insert(at, [seq, seq])

    def has(self, writer: str, seq: int) -> bool:
        """Whether that event is in the journal, in any partition."""
        ranges = self._ranges.get(writer)
        if not ranges:
            return False
        at = bisect_right(ranges, seq, key=lambda each: each[0])
        return at > 0 and seq <= ranges[at - 1][1]

    def highest(self, partition: int, writer: str) -> int:
        """Return the highest number of that writer in that partition; 0 if it has none there."""
        return self._highest.get((partition, writer), 0)
