"""Cache the pages returned last, so that reading one of their records again needs no request to the broker."""

import bisect
from collections import deque

from ..log import Page
from .limits import RECENT_BYTES_MAX, RECENT_PAGES_MAX


class RecentPages:
    """A bounded cache of the pages last returned to a log's readers; none of their rows is a repeat."""

    def __init__(self) -> None:
        self._pages: deque[tuple[Page, int]] = deque()
        self._bytes = 0

    def keep(self, page: Page) -> None:
        """Add a page and evict the oldest ones beyond the limits."""
        size = sum(map(len, page.rows))
        self._pages.append((page, size))
        self._bytes += size
        while self._bytes > RECENT_BYTES_MAX or len(self._pages) > RECENT_PAGES_MAX:
            self._bytes -= self._pages.popleft()[1]

    def row(self, partition: int, offset: int) -> bytes | None:
        """Return the encoded event at a position, None if it is not cached."""
        for page, _ in reversed(self._pages):
            if page.partition == partition and page.offsets[0] <= offset <= page.offsets[-1]:
                index = bisect.bisect_left(page.offsets, offset)
                if page.offsets[index] == offset:
                    return page.rows[index]
        return None

    def clear(self) -> None:
        """Evict all pages."""
        self._pages.clear()
        self._bytes = 0
