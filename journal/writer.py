"""The identity of a writer: its id, a number for each of its events, and rising times."""

from collections.abc import Sequence
from typing import Final

import uuid_utils

from .append_counts import AppendCounts
from .event import Draft, Event, number_all, place, record, record_with
from .limits import CLOCK_STEP_SECONDS_MAX

MICROSECONDS: Final = 1_000_000
CLOCK_STEP_MICROSECONDS: Final = round(CLOCK_STEP_SECONDS_MAX * MICROSECONDS)


def time_after(last: int, clock: int) -> int:
    """The time of an event after one of the time `last`, by a clock that shows `clock`; all in microseconds.

    It is later than the last one, unless that lies more than `CLOCK_STEP_SECONDS_MAX` ahead: then it is the clock's.
    """
    return clock if clock > last or last - clock > CLOCK_STEP_MICROSECONDS else last + 1


class Writer:
    """One writer of a log: numbers its drafts from 1 up and stamps them with rising times, as `time_after` says.

    `counts` are those of its acknowledged appends.
    """

    __slots__ = ("_seq", "counts", "id", "last_microseconds")

    def __init__(self, writer_id: str | None = None) -> None:
        self.id = writer_id or uuid_utils.uuid7().hex
        self._seq = 0
        self.counts = AppendCounts()
        self.last_microseconds = 0

    def number(self, draft: Draft) -> None:
        """Assign a draft its identity, once; a draft that has one is a repeat and keeps it."""
        if not draft.seq:
            self._seq += 1
            draft.writer, draft.seq = self.id, self._seq

    def stamp(self, timestamp: float) -> float:
        """Return `timestamp` in whole microseconds, moved past the last time as `time_after` says."""
        self.last_microseconds = time_after(self.last_microseconds, round(timestamp * MICROSECONDS))
        return self.last_microseconds / MICROSECONDS

    def time_of(self, draft: Draft, now: float) -> float:
        """Return the time of a draft recorded `now`; an imported one keeps its own, to the microsecond."""
        if draft.timestamp is None:
            return self.stamp(now)
        if draft.origin is not None:
            return round(draft.timestamp * MICROSECONDS) / MICROSECONDS
        return self.stamp(draft.timestamp)

    def record_all(self, drafts: Sequence[Draft], now: float, offset: int) -> tuple[list[Event], list[bytes]]:
        """Number, stamp, record and place new drafts without times of their own, from `offset` of partition 0 on.

        Equivalent to `number`, `stamp`, `record` and `place` for each draft, at a quarter of the cost.
        """
        writer, seq = self.id, self._seq
        microseconds = time_after(self.last_microseconds, round(now * MICROSECONDS)) - 1
        # First, so that an interrupt at any moment never leads to two drafts with one number.
        self._seq, self.last_microseconds = seq + len(drafts), microseconds + len(drafts)
        recorded = record_with(drafts, writer, seq, microseconds, offset)
        number_all(drafts, writer, seq + 1)
        return recorded

    def record_numbered(self, drafts: Sequence[Draft], now: float, offset: int) -> tuple[list[Event], list[bytes]]:
        """As `record_all`, for drafts that another writer has numbered, one after the other."""
        microseconds = time_after(self.last_microseconds, round(now * MICROSECONDS)) - 1
        self.last_microseconds = microseconds + len(drafts)
        return record_with(drafts, drafts[0].writer, drafts[0].seq - 1, microseconds, offset)

    def record_one(self, draft: Draft, now: float, offset: int) -> tuple[Event, bytes]:
        """As `record_all`, for one draft.

        Each step of a lone append costs several times as much as it would in a loop: during the wait for the disk,
        other code has filled the processor's caches.
        """
        self._seq += 1
        draft.writer, draft.seq = self.id, self._seq
        self.last_microseconds = time_after(self.last_microseconds, round(now * MICROSECONDS))
        event, row = record(draft, self.last_microseconds / MICROSECONDS)
        return place(event, 0, offset), row

    def record_one_numbered(self, draft: Draft, now: float, offset: int) -> tuple[Event, bytes]:
        """As `record_one`, for a draft that another writer has numbered."""
        self.last_microseconds = time_after(self.last_microseconds, round(now * MICROSECONDS))
        event, row = record(draft, self.last_microseconds / MICROSECONDS)
        return place(event, 0, offset), row

    def catch_up(self, timestamp: float) -> None:
        """Set the last time to `timestamp`, that of a log which other writers use as well."""
        microseconds = round(timestamp * MICROSECONDS)
        while microseconds / MICROSECONDS < timestamp:  # rounded down: from 2106 on a float steps in microseconds
            microseconds += 1
        self.last_microseconds = microseconds

    def forget(self, draft: Draft) -> None:
        """Remove the identity of a draft that has not landed and never will under that number."""
        draft.writer, draft.seq = "", 0
