"""The pages handed out last, so that a look at a record just read needs no journey to the broker."""

import bisect
from collections import deque

from ..log import Page
from .limits import RECENT_BYTES_MAX, RECENT_PAGES_MAX


class RecentPages:
    """A bounded number of the pages that a log's readers were handed last; none of their rows is a repeat."""

    def __init__(self) -> None:
        self._pages: deque[tuple[Page, int]] = deque()
        self._bytes = 0

    def keep(self, page: Page) -> None:
        """Remember a page, and forget the oldest ones that are too much."""
        size = sum(map(len, page.rows))
        self._pages.append((page, size))
        self._bytes += size
        while self._bytes > RECENT_BYTES_MAX or len(self._pages) > RECENT_PAGES_MAX:
            self._bytes -= self._pages.popleft()[1]

    def row(self, partition: int, offset: int) -> bytes | None:
        """The encoded event at a position, None if it is not remembered."""
        for page, _ in reversed(self._pages):
            if page.partition == partition and page.offsets[0] <= offset <= page.offsets[-1]:
                index = bisect.bisect_left(page.offsets, offset)
                if page.offsets[index] == offset:
                    return page.rows[index]
        return None

    def clear(self) -> None:
        """Forget all."""
        self._pages.clear()
        self._bytes = 0
