"""Determine which records of a partition belong to refused conditional appends; see `condition`."""

from collections import deque
from collections.abc import Sequence

from ..conditions import key_of
from .client_types import Record
from .condition import Condition, RecordBetween, condition_in, is_refused, is_stale, lowest_needed
from .limits import CONDITION_EVENTS_MAX, CONDITION_RECORDS_KEPT
from .lookup import Lookup


class Verdicts:
    """Decides for each conditional append in one partition whether it was refused; the partition is read in order.

    Nearly every conditional append directly follows the offset its writer had checked, and is decided at once. For the
    others the records in between are examined: from those just read if they suffice, otherwise by a look-up.
    """

    def __init__(self, lookup: Lookup, partition: int) -> None:
        self._lookup = lookup
        self._partition = partition
        self._kept: deque[Record] = deque(maxlen=CONDITION_RECORDS_KEPT)
        self._last: tuple[int, bool] = (-1, False)  # of the append judged last: its first offset, whether it is refused

    def passed(self, records: Sequence[Record]) -> None:
        """Keep the last of the records just read; they follow those of the previous call."""
        self._kept.extend(records[-CONDITION_RECORDS_KEPT:])

    def restart(self) -> None:
        """Discard the kept records: the next read does not follow the previous one."""
        self._kept.clear()

    async def refused(self, records: Sequence[Record]) -> frozenset[int]:
        """Return the offsets of the refused ones among the next records."""
        found: set[int] = set()
        for index, record in enumerate(records):
            condition = condition_in(record.headers) if record.headers else None
            if condition is None:
                continue
            base = record.offset - condition.at
            if base != self._last[0]:
                first = await self._first(base) if condition.at else condition
                verdict = first is not None and await self.judge(first, base, records[:index])
                self._last = (base, verdict)
            if self._last[1]:
                found.add(record.offset)
        return frozenset(found)

    async def judge(self, condition: Condition, base: int, before: Sequence[Record] = ()) -> bool:
        """Whether the append at `base` is refused; `before` are the preceding records already in memory."""
        if is_stale(condition, base):
            return True
        if condition.checked + 1 >= base:
            return False
        between = await self._between(condition.checked + 1, base, before)
        return is_refused(condition, base, map(_between, between))

    async def _first(self, base: int) -> Condition | None:
        """Return the condition of the append at `base`; None if retention has removed its first record."""
        records = await self._lookup.stretch(self._partition, base, base + 1)
        return condition_in(records[0].headers) if records else None

    async def _between(self, low: int, high: int, before: Sequence[Record]) -> Sequence[Record]:
        at_hand = before if before and before[0].offset <= low else [*self._kept, *before]
        if at_hand and at_hand[0].offset <= low:
            return [record for record in at_hand if low <= record.offset < high]
        return await self._lookup.stretch(self._partition, low, high)


def _between(record: Record) -> RecordBetween:
    return RecordBetween(
        record.offset, key_of(record.value or b""), condition_in(record.headers) if record.headers else None
    )


async def whole_from(lookup: Lookup, partition: int, offset: int, end: int) -> int:
    """Return the highest offset up to `offset` from which every conditional append can still be judged."""
    records = await lookup.stretch(partition, offset, min(end, offset + CONDITION_EVENTS_MAX))
    return lowest_needed(offset, ((each.offset, condition_in(each.headers)) for each in records if each.headers))
