"""Parses the parameters that select events; they have the names and the meaning of the consumers' options."""

import time
from collections.abc import Sequence
from typing import Final, NamedTuple, cast

from ...consumers.engine.batch import Batch
from ...consumers.engine.stream import Phase, Stream
from ...consumers.options import PlainEvents
from ...journal.async_journal import AsyncJournal
from ...journal.cursor import Cursor, text_behind
from ...journal.errors import JournalError, UnreadableRecord
from ...journal.event import Event
from ..backend import cursor_of, moment_of
from ..limits import PAGE_BYTES, READ_SECONDS
from ..problems import Problem
from .page import Page, Skipped, StoredEvent, text_of

_REASON_CHARACTERS: Final = 200


class EventSelection(NamedTuple):
    """The events that a reader asks for. `since` is a time in seconds; `until` a time or a cursor; 0 and None: all.

    `resumes`: the cursor is where an earlier stream of this reader ended, as `Last-Event-ID` says.
    """

    topic: str = ""
    key: str | None = None
    since: float = 0.0
    until: Cursor | float | None = None
    full: bool = True
    include_sentinel: bool = False
    cursor: Cursor | None = None
    resumes: bool = False

    @property
    def is_shared(self) -> bool:
        """Whether its live events can be read together with other readers: it has no end of its own."""
        return self.until is None


def selection_of(
    *,
    topic: str,
    key: str | None,
    since: str | None,
    until: str | None,
    full: bool,
    include_sentinel: bool,
    cursor: str | None,
    last_event_id: str | None,
) -> EventSelection:
    """Return the selection of a request's parameters; `Problem` 400 names the one that is wrong."""
    now = time.time()
    last = cursor_of(last_event_id, "Last-Event-ID") if last_event_id else None
    return EventSelection(
        topic,
        key,
        0.0 if since is None else moment_of(since, "since", now),
        None if until is None else _end_of(until, now),
        full or last is not None,
        include_sentinel and full,
        last if last is not None else cursor_of(cursor, "cursor") if cursor is not None else None,
        resumes=last is not None,
    )


def _end_of(until: str, now: float) -> Cursor | float:
    try:
        found = Cursor.parse(until)
    except ValueError:
        found = None
    return found or moment_of(until, "until", now)


class _Definition(PlainEvents):
    """A consumer's options for one selection; it collects the records that are not events."""

    event_class = StoredEvent

    def __init__(self, selection: EventSelection) -> None:
        self.left_out: list[Skipped] = []
        super().__init__(
            selection.topic,
            None,
            selection.full,
            selection.since,
            selection.include_sentinel,
            cursor=selection.cursor,
            until=selection.until,
            key=selection.key,
            on_bad_record=self._note,
        )

    def _note(self, bad: UnreadableRecord) -> None:
        self.left_out.append(Skipped(bad.partition, bad.offset, bad.reason[:_REASON_CHARACTERS]))


class Reading:
    """One pass over the journal for a selection, page by page: the consumers' own engine."""

    def __init__(self, journal: AsyncJournal, selection: EventSelection) -> None:
        try:
            self._definition = _Definition(selection)
        except ValueError as error:
            raise Problem(400, "bad-selection", str(error)) from None
        self.stream = Stream(journal, self._definition)
        self.stream.bound_pages(PAGE_BYTES)

    async def open(self) -> None:
        """Find the start. Raises the errors of a consumer's start, and `Problem` 400 for another invalid one."""
        try:
            await self.stream.open()
        except JournalError:
            raise
        except ValueError as error:
            raise Problem(400, "bad-cursor", str(error)) from None

    @property
    def cursor(self) -> Cursor:
        """The position up to which all events have been returned."""
        stream = self.stream
        return stream.cursor(stream.settled)

    async def next_page(self, timeout: float | None) -> "Page | Sentinel | None":
        """Return the next page, which may be empty; None at the end. `TimeoutError` if none comes in time."""
        stream = self.stream
        batch = await stream.next_step(timeout)
        if batch is None:
            return None
        stream.settle()
        events = cast("list[StoredEvent]", batch.events)
        if events and events[0].is_empty():
            return Sentinel(str(self.cursor))
        left_out, self._definition.left_out = self._definition.left_out, []
        stored = [event.stored for event in events]
        return Page(stored, list(map(text_of, stored)), self._cursors(batch, stored), self.cursor, left_out)

    def _cursors(self, batch: Batch, events: Sequence[Event]) -> list[str]:
        """Return the cursor behind each event."""
        stream = self.stream
        if not (len(stream.settled) == 1 and all(event.writer and event.seq for event in events)):
            return [str(stream.cursor(batch.cursor(index))) for index in range(1, len(events) + 1)]
        made = [text_behind(each.partition, each.offset, (each.writer, each.seq), each.timestamp) for each in events]
        made[-1:] = [str(stream.cursor(batch.cursor(len(events))))] if events else []  # what was left out counts, too
        return made

    async def next_available(self, wait: float = 0.0) -> "Page | Sentinel | None":
        """As `next_page`, but `wait` bounds only the wait for live events: history exists, and is only fetched."""
        return await self.next_page(READ_SECONDS if self.stream.phase is Phase.HISTORY else wait)

    async def aclose(self) -> None:
        """Release the log."""
        await self.stream.aclose()


class Sentinel(NamedTuple):
    """The end of history, and the cursor there."""

    cursor: str
