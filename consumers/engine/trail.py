"""Find the event before a cursor: the pages read recently are kept until they have been delivered.

A consumer delivers thousands of events per requested cursor. So nothing is computed per event: the pages are kept by
reference, and the record before a cursor is searched for when the cursor is requested.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping

from ...journal.cursor import Behind, Cursor
from ...journal.log import Page


class Trail:
    """The pages of each partition that have not been delivered completely, and the last record before them."""

    def __init__(self, begin: Mapping[int, int]) -> None:
        self._pages: dict[int, deque[Page]] = {partition: deque() for partition in begin}
        self._before: dict[int, Behind] = dict(begin.behind) if isinstance(begin, Cursor) else {}
        self._without: set[tuple[int, int]] = set()

    def add(self, page: Page, handed_out: int) -> None:
        """Keep a page that was read; drop the earlier pages that lie below `handed_out`, the offset delivered up to."""
        pages = self._pages[page.partition]
        while pages and pages[0].next_offset <= handed_out:
            oldest = pages.popleft()
            self._before[page.partition] = (oldest.offsets[-1], oldest.rows[-1])
        pages.append(page)

    def cursor(self, offsets: Mapping[int, int]) -> Cursor:
        """Return the cursor of a reader at `offsets`, with the events just before it, as far as they are known."""
        behind: dict[int, Behind] = {}
        for partition, offset in offsets.items():
            found = self._behind(partition, offset)
            if found is not None:
                behind[partition] = found
        return Cursor(offsets, behind)

    def is_complete(self, cursor: Cursor) -> bool:
        """Whether the cursor has the events just before it, except those searched for in vain."""
        return all(
            partition in cursor.behind or not offset or (partition, offset) in self._without
            for partition, offset in cursor.items()
        )

    def learn(self, cursor: Cursor) -> None:
        """Remember the events just before a cursor after a search in the log; some may have been removed."""
        for partition, offset in cursor.items():
            if partition in cursor.behind:
                self._before.setdefault(partition, cursor.behind[partition])
            elif offset:
                self._without.add((partition, offset))

    def _behind(self, partition: int, offset: int) -> Behind | None:
        for page in reversed(tuple(self._pages[partition])):
            index = bisect_left(page.offsets, offset) - 1
            if index >= 0:
                return page.offsets[index], page.rows[index]
        before = self._before.get(partition)
        return before if before is not None and before[0] < offset else None
