"""Remember a log's own appends, so that a draft appended again joins its pending append or finds its event."""

import bisect
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from ..event import Event
from .appender import UNKNOWN_OFFSET, Part
from .limits import APPENDS_REMEMBERED, PLACES_REMEMBERED


class LandedEvent(NamedTuple):
    """An event of this log: its part, and its index among the part's events."""

    part: Part
    at: int

    @property
    def offset(self) -> int:
        """The event's offset; -1 if unknown."""
        return self.part.base + self.at if self.part.base != UNKNOWN_OFFSET else UNKNOWN_OFFSET


class _Run(NamedTuple):
    """The events of one append, numbered consecutively from `first_seq` on: in one `part`, or each at its place."""

    first_seq: int
    events: int
    part: Part | None
    places: Sequence[LandedEvent]

    def place(self, seq: int) -> LandedEvent:
        index = seq - self.first_seq
        return LandedEvent(self.part, index) if self.part is not None else self.places[index]

    @property
    def settled(self) -> bool:
        return self.part.settled if self.part is not None else all(place.part.settled for place in self.places)


class AppendHistory:
    """The appends of one writer by sequence number: all unsettled ones and a bounded number of settled ones."""

    def __init__(self, writer: str) -> None:
        self._writer = writer
        self._runs: deque[_Run] = deque()
        self._places = 0

    def remember(self, first_seq: int, places: Sequence[LandedEvent] | Part) -> None:
        """Remember an append just numbered, in order of its numbers: one part, or the place of each event."""
        if isinstance(places, Part):
            self._runs.append(_Run(first_seq, len(places.events), places, ()))
        else:
            self._runs.append(_Run(first_seq, len(places), None, places))
            self._places += len(places)
        while (len(self._runs) > APPENDS_REMEMBERED or self._places > PLACES_REMEMBERED) and self._runs[0].settled:
            self._places -= len(self._runs.popleft().places)

    def pending(self, writer: str, seq: int) -> tuple[Part, Event] | None:
        """Return the unsettled part that contains this event, and the event; None if there is none."""
        place = self._find(writer, seq)
        return (place.part, place.part.events[place.at]) if place is not None and not place.part.settled else None

    def place(self, writer: str, seq: int) -> tuple[int, int] | None:
        """Return the partition and offset of this event; None if it is not remembered or not written."""
        place = self._find(writer, seq)
        return (place.part.partition, place.offset) if place is not None and place.offset != UNKNOWN_OFFSET else None

    def last_before(self, partition: int, offset: int) -> int:
        """Return the highest remembered number of an event below `offset` of `partition`; 0 if there is none."""
        for run in reversed(self._runs):
            part = run.part
            if part is None:
                for index in range(run.events - 1, -1, -1):
                    place = run.places[index]
                    if place.part.partition == partition and UNKNOWN_OFFSET < place.offset < offset:
                        return run.first_seq + index
            elif part.partition == partition and UNKNOWN_OFFSET < part.base < offset:
                return run.first_seq + min(run.events, offset - part.base) - 1
        return 0

    def _find(self, writer: str, seq: int) -> LandedEvent | None:
        if writer != self._writer:
            return None
        index = bisect.bisect_right(self._runs, seq, key=lambda run: run.first_seq) - 1
        if index < 0 or seq >= self._runs[index].first_seq + self._runs[index].events:
            return None
        return self._runs[index].place(seq)
