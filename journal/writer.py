"""Who appends: an id, a number for each event, and a time that rises with each."""

from collections.abc import Sequence
from typing import Final

import uuid_utils

from .event import Draft, Event, place, record, record_with
from .limits import CLOCK_STEP_SECONDS_MAX

MICROSECONDS: Final = 1_000_000
CLOCK_STEP_MICROSECONDS: Final = round(CLOCK_STEP_SECONDS_MAX * MICROSECONDS)


def time_after(last: int, clock: int) -> int:
    """The time of an event after one of the time `last`, by a clock that shows `clock`; all in microseconds.

    It is later than the last one, unless that lies more than `CLOCK_STEP_SECONDS_MAX` ahead: then it is the clock's.
    """
    return clock if clock > last or last - clock > CLOCK_STEP_MICROSECONDS else last + 1


class Writer:
    """One writer of a log: numbers its drafts from 1 up and stamps them with rising times, as `time_after` says."""

    __slots__ = ("_seq", "id", "last_microseconds")

    def __init__(self, writer_id: str | None = None) -> None:
        self.id = writer_id or uuid_utils.uuid7().hex
        self._seq = 0
        self.last_microseconds = 0

    def number(self, draft: Draft) -> None:
        """Give a draft its identity, once; a draft that has one is a repeat and keeps it."""
        if not draft.seq:
            self._seq += 1
            draft.writer, draft.seq = self.id, self._seq

    def stamp(self, timestamp: float) -> float:
        """`timestamp` in whole microseconds, moved just past the last time where that is not earlier."""
        self.last_microseconds = time_after(self.last_microseconds, round(timestamp * MICROSECONDS))
        return self.last_microseconds / MICROSECONDS

    def time_of(self, draft: Draft, now: float) -> float:
        """The time of a draft recorded `now`; one that was recorded elsewhere keeps its own, to the microsecond."""
        if draft.timestamp is None:
            return self.stamp(now)
        if draft.origin is not None:
            return round(draft.timestamp * MICROSECONDS) / MICROSECONDS
        return self.stamp(draft.timestamp)

    def record_all(self, drafts: Sequence[Draft], now: float, offset: int) -> tuple[list[Event], list[bytes]]:
        """Number, stamp, record and place new drafts without times of their own, from `offset` of partition 0 on.

        What `number`, `stamp`, `record` and `place` do for one, for a whole append at a quarter of the cost.
        """
        writer, seq = self.id, self._seq
        microseconds = time_after(self.last_microseconds, round(now * MICROSECONDS)) - 1
        # First: an interrupt may come at any moment, and no number is given to two drafts.
        self._seq, self.last_microseconds = seq + len(drafts), microseconds + len(drafts)
        return record_with(drafts, writer, seq, microseconds, offset)

    def record_one(self, draft: Draft, now: float, offset: int) -> tuple[Event, bytes]:
        """As `record_all`, for one draft.

        Every step on the way of a lone append costs several times as much as it would in a loop: while the disk was
        waited for, others had the processor's caches.
        """
        self._seq += 1
        draft.writer, draft.seq = self.id, self._seq
        self.last_microseconds = time_after(self.last_microseconds, round(now * MICROSECONDS))
        event, row = record(draft, self.last_microseconds / MICROSECONDS)
        return place(event, 0, offset), row

    def catch_up(self, timestamp: float) -> None:
        """Go on after `timestamp`, the last one of a log that others write to as well."""
        microseconds = round(timestamp * MICROSECONDS)
        while microseconds / MICROSECONDS < timestamp:  # rounded down: from 2106 on a float steps in microseconds
            microseconds += 1
        self.last_microseconds = microseconds

    def forget(self, draft: Draft) -> None:
        """Take the identity of a draft back: it did not land and never will under that number."""
        draft.writer, draft.seq = "", 0
