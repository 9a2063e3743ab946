"""The last pages of a shared tail, and the places of its readers in them."""

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping

from ..limits import SHARED_TAIL_BYTES_MAX, SHARED_TAIL_EVENTS_MAX
from ..log import Page


class Window:
    """Pages in the order in which they were read, numbered from 0; the oldest are dropped when there are too many.

    It holds all records from `begin` to `head`, in each partition. Pages are kept and handed out by reference. The
    newest page is kept whatever its size, or no reader could get it. Not thread-safe.
    """

    def __init__(self, begin: Mapping[int, int]) -> None:
        self.begin = dict(begin)
        self.head = dict(begin)
        # The error that ended the tail; no page is added after it.
        self.error: Exception | None = None
        self.first = 0
        self.pages: deque[Page] = deque()
        self._events = 0
        self._bytes = 0

    def add(self, page: Page) -> None:
        """Keep the next page."""
        self.pages.append(page)
        self.head[page.partition] = page.next_offset
        self._events += len(page.rows)
        self._bytes += _size(page)
        while len(self.pages) > 1 and (self._events > SHARED_TAIL_EVENTS_MAX or self._bytes > SHARED_TAIL_BYTES_MAX):
            self._drop()

    def forget(self, number: int) -> None:
        """Drop the pages before that number."""
        while self.pages and self.first < number:
            self._drop()

    def _drop(self) -> None:
        page = self.pages.popleft()
        self.first += 1
        self.begin[page.partition] = page.next_offset
        self._events -= len(page.rows)
        self._bytes -= _size(page)

    def covers(self, cursor: Mapping[int, int]) -> bool:
        """Whether the window, or what will be added to it, holds all records from `cursor` on."""
        return all(cursor[partition] >= offset for partition, offset in self.begin.items())

    def ahead(self, cursor: Mapping[int, int]) -> int:
        """The number of positions by which a reader at `cursor` is beyond the window's head."""
        return sum(max(0, cursor[partition] - offset) for partition, offset in self.head.items())


class WindowPlace:
    """One reader's offsets in a window, one for each partition. A lost place yields no pages."""

    __slots__ = ("_number", "offsets", "window")

    def __init__(self, window: Window, cursor: Mapping[int, int]) -> None:
        self.offsets = dict(cursor)
        self.window = window
        self._number = window.first

    def is_lost(self) -> bool:
        """Whether pages that this reader has not taken were dropped."""
        return self._number < self.window.first and not self.window.covers(self.offsets)

    def take(self, limit: int, partition: int | None) -> Page | None:
        """Take the next page, of `partition` only if one is named; None if there is none. Sliced only if necessary."""
        number = self.done()
        pages = self.window.pages
        for index in range(number - self.window.first, len(pages)):
            page = pages[index]
            offset = self.offsets[page.partition]
            if page.next_offset > offset and partition in (None, page.partition):
                page = _part(page, offset, limit)
                self.offsets[page.partition] = page.next_offset
                return page
        return None

    def pass_over(self, page: Page, limit: int, partition: int | None) -> bool:
        """Take a page that has just been read without keeping it in the window; False if it cannot be taken whole."""
        window, offset = self.window, self.offsets[page.partition]
        whole = page.offsets[0] >= offset and len(page.rows) <= limit
        if window.pages or not whole or partition not in (None, page.partition):
            return False
        window.begin[page.partition] = window.head[page.partition] = self.offsets[page.partition] = page.next_offset
        return True

    def done(self) -> int:
        """The number of the first page that has untaken records: this reader needs no page before it."""
        window, pages = self.window, self.window.pages
        number = max(self._number, window.first)
        end = window.first + len(pages)
        while number < end:
            page = pages[number - window.first]
            if page.next_offset > self.offsets[page.partition]:
                break
            number += 1
        self._number = number
        return number

    def skip(self, partition: int, offset: int) -> None:
        """Continue at `offset` if that is further."""
        self.offsets[partition] = max(self.offsets[partition], offset)

    def cursor(self) -> dict[int, int]:
        """The reader's cursor; in partitions without waiting pages also past the records that the tail has left out."""
        window = self.window
        if self.is_lost():
            return dict(self.offsets)
        start = self.done() - window.first
        waiting = {window.pages[index].partition for index in range(start, len(window.pages))}
        return {
            partition: offset if partition in waiting else max(offset, window.head[partition])
            for partition, offset in self.offsets.items()
        }


def _size(page: Page) -> int:
    return sum(map(len, page.rows))


def _part(page: Page, offset: int, limit: int) -> Page:
    """At most `limit` records of `page` from `offset` on."""
    start = bisect_left(page.offsets, offset)
    if start == 0 and len(page.rows) <= limit:
        return page
    return Page(page.partition, page.offsets[start : start + limit], page.rows[start : start + limit])
