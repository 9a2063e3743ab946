"""What a log remembers of its own appends, so that a repeated draft joins or finds its event."""

import bisect
from collections import deque
from typing import NamedTuple

from .event import Event
from .kafka_appender import UNKNOWN_OFFSET, Part
from .limits import APPENDS_REMEMBERED


class _Run(NamedTuple):
    """A part and the numbers of its events: `events` consecutive ones from `first_seq` on."""

    first_seq: int
    events: int
    part: Part


class AppendMemory:
    """The parts of one writer, by their numbers: all that are not settled, and a bounded number of those that are."""

    def __init__(self, writer: str) -> None:
        self._writer = writer
        self._runs: deque[_Run] = deque()

    def remember(self, part: Part) -> None:
        """Take note of a part just numbered; parts come in the order of their numbers."""
        self._runs.append(_Run(part.events[0].seq, len(part.events), part))
        while len(self._runs) > APPENDS_REMEMBERED and self._runs[0].part.settled:
            self._runs.popleft()

    def pending(self, writer: str, seq: int) -> tuple[Part, Event] | None:
        """The part that this event is still under way in, and the event."""
        run = self._find(writer, seq)
        return (run.part, run.part.events[seq - run.first_seq]) if run is not None and not run.part.settled else None

    def place(self, writer: str, seq: int) -> tuple[int, int] | None:
        """Partition and offset of this event, if it is remembered to have landed."""
        run = self._find(writer, seq)
        if run is None or run.part.base == UNKNOWN_OFFSET:
            return None
        return run.part.partition, run.part.base + seq - run.first_seq

    def _find(self, writer: str, seq: int) -> _Run | None:
        if writer != self._writer:
            return None
        index = bisect.bisect_right(self._runs, seq, key=lambda run: run.first_seq) - 1
        if index < 0 or seq >= self._runs[index].first_seq + self._runs[index].events:
            return None
        return self._runs[index]
