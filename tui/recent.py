"""The newest events of the journal, as records that are decoded when they are shown. Pure."""

from collections import deque
from typing import NamedTuple

from ..consumers.views.view import View
from ..journal.event import Event
from ..journal.event_decoding import readable, time_in
from ..journal.log import Page
from .limits import RECENT_EVENTS_KEPT


class Record(NamedTuple):
    """One record: its position and its bytes."""

    partition: int
    offset: int
    row: bytes

    def event(self) -> Event | None:
        """Return its event, with its context; None if it is none, or cannot be read."""
        events, _ = readable([self.row], self.partition, [self.offset], contexts=True)
        return events[0] if events else None


class RecentEvents(View):
    """The last `RECENT_EVENTS_KEPT` records, the newest last, and how many were applied."""

    def __init__(self) -> None:
        self.kept: deque[Record] = deque(maxlen=RECENT_EVENTS_KEPT)
        self.applied = 0

    def apply_page(self, page: Page) -> None:
        """Keep the records of a page, as far as they are among the newest."""
        self.applied += len(page.rows)
        newest = list(zip(page.offsets, page.rows, strict=True))[-RECENT_EVENTS_KEPT:]
        self.kept.extend(Record(page.partition, offset, row) for offset, row in newest)

    def sort(self) -> None:
        """Put the records in the order of their times: those of several partitions were applied one after the other."""
        if len({record.partition for record in self.kept}) > 1:
            self.kept = deque(sorted(self.kept, key=_time), maxlen=RECENT_EVENTS_KEPT)


def _time(record: Record) -> float:
    return time_in(record.row) or 0.0
