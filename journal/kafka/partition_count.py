"""Determine with how many partitions a journal was written: partitions added later would move keys.

Each batch stores the number in a header of its last record, so the last record of any partition has it, however much
retention has removed. If an older version wrote that record, the number is inferred from the last events: each
event is in the partition that the hash of its key selects.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from ..errors import BadJournalURL, HistoryTruncated, PartitionsChanged
from ..row_decoder import RowDecoder
from .limits import EXAMINED_EVENTS, PARTITIONS_EXAMINED_MAX
from .lookup import Lookup


class _Keyed(msgspec.Struct, gc=False):
    key: str | None = None


_decoder: Final = RowDecoder(_Keyed)


async def written_partitions(lookup: Lookup, ends: Mapping[int, int], hashed: Callable[[str], int]) -> int | None:
    """Return how many partitions the journal was written with; None if no record shows it.

    `ends` are the end offsets of all partitions of the topic, `hashed` returns the hash of a key.
    """
    if len(ends) == 1:
        return None
    firsts = await lookup.firsts(ends)
    holding = [each for each, end in ends.items() if end > firsts[each]]
    asked = holding[:PARTITIONS_EXAMINED_MAX]
    for partition in asked:
        count = await lookup.partitions_said(partition, ends[partition] - 1)
        if count is not None:
            return count
    keys = {
        each: await _keys(lookup, each, max(firsts[each], ends[each] - EXAMINED_EVENTS), ends[each]) for each in asked
    }
    return count_by_keys({each: [hashed(key) for key in found] for each, found in keys.items()}, holding, len(ends))


def journal_partitions(
    topic: str, url: str, found: int, written: int | None, asked: int | None, *, ignore_added: bool
) -> int:
    """Return the journal's number of partitions, of `found` in the topic, `written` in its records, `asked` in its URL.

    Raises `PartitionsChanged` if the topic has more than were written, `BadJournalURL` if the URL gives another number;
    neither with `ignore_added`.
    """
    if written is not None and written < found:
        if not ignore_added:
            raise PartitionsChanged(topic, written, found)
        found = written
    if asked not in (None, found) and not ignore_added:
        raise BadJournalURL(
            f"{url!r}: the topic {topic!r} has {found} partition(s), the URL says {asked}. A journal's partitions "
            f"never change, or its keys would move: use partitions={found} or omit it."
        )
    return found


async def _keys(lookup: Lookup, partition: int, start: int, end: int) -> list[str]:
    try:
        rows = (await lookup.read(partition, start, end, EXAMINED_EVENTS)).rows
    except HistoryTruncated:  # removed meanwhile
        return []
    return [found.key for row in rows if (found := _decoder.read(row)) is not None and found.key is not None]


def count_by_keys(hashes: Mapping[int, Sequence[int]], holding: Sequence[int], found: int) -> int | None:
    """Return the smallest number of partitions consistent with where the keys are; None if `found` is consistent.

    `hashes` are the hashed keys of some partitions, `holding` all partitions that hold events, `found` the current
    number of partitions. None also if no number is consistent: some events were placed by other means.
    """
    pairs = [(partition, each) for partition, keys in hashes.items() for each in keys]
    if all(each % found == partition for partition, each in pairs):
        return None
    for count in range(max(holding, default=0) + 1, found):
        if all(each % count == partition for partition, each in pairs):
            return count
    return None
