"""Read single records of a log by their positions."""

from collections.abc import Iterable
from itertools import pairwise

from ...journal.errors import HistoryTruncated
from ...journal.limits import PAGE_EVENTS
from ...journal.log import Log
from ..limits import INDEX_GAP_EVENTS_MAX


async def rows_at(log: Log, partition: int, offsets: Iterable[int]) -> dict[int, bytes]:
    """Return the records at these positions that the log still holds; close ones are read together."""
    found: dict[int, bytes] = {}
    wanted = {*offsets}
    for begin, end in _runs(sorted(wanted)):
        try:
            pages = await log.read({partition: begin}, end - begin)
        except HistoryTruncated:
            continue
        for page in pages:
            rows = zip(page.offsets, page.rows, strict=True)
            found.update((offset, row) for offset, row in rows if offset in wanted)
    return found


def _runs(offsets: list[int]) -> list[tuple[int, int]]:
    """The offsets as stretches to be read, from the first up to, not including, the second."""
    runs: list[tuple[int, int]] = []
    begin = offsets[0] if offsets else 0
    for offset, following in pairwise([*offsets, None]):
        assert offset is not None, "None stands at the end only"
        near = following is not None and following - offset <= INDEX_GAP_EVENTS_MAX and following - begin < PAGE_EVENTS
        if not near:
            runs.append((begin, offset + 1))
            begin = following if following is not None else 0
    return runs
