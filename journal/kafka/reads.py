"""Read pages of a topic by position, without repeats and refused records."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final

from ..limits import PAGE_EVENTS
from ..log import Page, check_cursor
from .limits import DEDUPE_PRIMING_EVENTS, DEDUPE_PRIMING_EVENTS_MIN, READINGS_REMEMBERED
from .lookup import Lookup
from .recent import RecentPages
from .repeats import RepeatFilter
from .verdicts import Verdicts

PRIMING_RATIO: Final = DEDUPE_PRIMING_EVENTS // PAGE_EVENTS


class Reads:
    """Reads of the `partitions` of one topic; `acknowledged(partition)` is the offset after this log's last append."""

    def __init__(
        self, partitions: int, reader: Lookup, recent: RecentPages, acknowledged: Callable[[int], int]
    ) -> None:
        self._partitions = partitions
        self._reader = reader
        self._recent = recent
        self._acknowledged = acknowledged
        self._filters: OrderedDict[tuple[int, int], RepeatFilter] = OrderedDict()

    async def read(self, cursor: Mapping[int, int], limit: int) -> list[Page]:
        """See `Log.read`."""
        pages: list[Page] = []
        if limit == 1 and len(cursor) == 1:
            ((partition, offset),) = cursor.items()
            if (row := self._recent.row(partition, offset)) is not None:
                return [Page(partition, [offset], [row])]
        check_cursor(cursor, self._partitions)
        ends = await self.ends_for({partition: offset + limit for partition, offset in cursor.items()})
        for partition, offset in cursor.items():
            if limit <= 0:
                break
            page = await self._read_page(partition, offset, ends[partition], limit)
            if page is not None:
                pages.append(page)
                limit -= len(page.rows)
        return pages

    async def ends_for(self, wanted: Mapping[int, int]) -> Mapping[int, int]:
        """Return an end of each partition: a known one if it reaches the wanted offsets, otherwise the current one."""
        known = self._reader.known_end
        for partition in wanted:
            known[partition] = max(known.get(partition, 0), self._acknowledged(partition))
        if any(known[partition] < offset for partition, offset in wanted.items()):
            return await self._reader.ends(wanted)
        return known

    async def _read_page(self, partition: int, offset: int, end: int, limit: int) -> Page | None:
        """Read up to `limit` records from `offset` on, without repeats and refused records; None if there are none."""
        if offset >= end:
            return None
        repeats = self._filters.pop((partition, offset), None)
        if repeats is None:
            # In proportion to the limit: reading one record stays cheap.
            stretch = min(max(PRIMING_RATIO * limit, DEDUPE_PRIMING_EVENTS_MIN), DEDUPE_PRIMING_EVENTS)
            repeats = await self._reader.primed(partition, offset, stretch)
        offsets: list[int] = []
        rows: list[bytes] = []
        verdicts = Verdicts(self._reader, partition)
        while offset < end and len(rows) < limit:
            got = await self._reader.read(partition, offset, end, limit - len(rows))
            refused = await verdicts.refused(got.records)
            dropped = {*repeats.repeats(got.rows), *(at for at, each in enumerate(got.offsets) if each in refused)}
            verdicts.passed(got.records)
            offsets += [each for index, each in enumerate(got.offsets) if index not in dropped]
            rows += [each for index, each in enumerate(got.rows) if index not in dropped]
            if got.next_offset == offset:
                break
            offset = got.next_offset
        if not rows:
            return None
        self._filters[partition, offsets[-1] + 1] = repeats
        if len(self._filters) > READINGS_REMEMBERED:
            self._filters.popitem(last=False)
        return Page(partition, offsets, rows)
