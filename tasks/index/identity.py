"""Check whether the index's file was built from this log, and not from another log that has taken its place."""

from ...journal.fingerprint import fingerprint
from ...journal.log import Bounds, Log
from .entries import NOWHERE
from .records import rows_at
from .rows import Covered


def continues(known: Covered, covered: Covered, bounds: Bounds, partition: int) -> bool:
    """Return whether the file is the one checked before and has only grown, within the bounds of the log."""
    if known.generation != covered.generation or covered.next_offset < known.next_offset:
        return False
    if covered.next_offset == NOWHERE:
        return True
    return bounds.first[partition] <= covered.next_offset <= bounds.end[partition]


async def is_of(log: Log, partition: int, covered: Covered, bounds: Bounds) -> bool:
    """Return whether the file was made of this log: the log holds its last event, and no gap lies before it."""
    if covered.next_offset == NOWHERE:
        return True
    last, first = covered.next_offset - 1, bounds.first[partition]
    if not (covered.first <= first <= last < bounds.end[partition]):
        return False
    row = (await rows_at(log, partition, [last])).get(last)
    return row is not None and fingerprint(row) == covered.fingerprint
