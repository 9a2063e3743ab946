"""Reads a log backwards, window by window, and hands out the matching records of each partition, the last one first."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import anyio.lowlevel

from ..journal.log import Log, Page
from .limits import LIST_EVENTS_MAX, LIST_STEP_EVENTS


class Placed(Protocol):
    """What stands at an offset of its partition."""

    @property
    def offset(self) -> int:
        """The offset."""
        ...


T = TypeVar("T", bound=Placed)


class BackwardsReader(Generic[T]):
    """Reads what `select` finds in the pages of one partition, the last one first, from `end` (excluded) to `first`."""

    def __init__(self, log: Log, partition: int, first: int, end: int, select: Callable[[Page], Sequence[T]]) -> None:
        self.partition = partition
        self.end = end  # what was taken begins here
        self._log, self._first, self._select = log, first, select
        self._read_from = end
        self._waiting: list[T] = []

    async def peek(self) -> tuple[T | None, int]:
        """Return the last one that was not taken, None if none is left, and how many events were read for it."""
        read = 0
        while not self._waiting and self._read_from > self._first and read < LIST_EVENTS_MAX:
            begin = max(self._first, self._read_from - LIST_STEP_EVENTS)
            self._waiting = await self._window(begin, self._read_from)
            read += self._read_from - begin
            self._read_from = begin
            await anyio.lowlevel.checkpoint()
        if not self._waiting:
            self.end = self._read_from
        return (self._waiting[-1] if self._waiting else None), read

    def take(self) -> None:
        """Take the one that `peek` has returned."""
        self.end = self._waiting.pop().offset

    @property
    def is_over(self) -> bool:
        """Whether none is left."""
        return not self._waiting and self._read_from <= self._first

    async def _window(self, begin: int, end: int) -> list[T]:
        found: list[T] = []
        while begin < end:
            pages = await self._log.read({self.partition: begin}, end - begin)
            if not pages:
                break
            found += [each for each in self._select(pages[0]) if each.offset < end]
            begin = pages[0].next_offset
        return found


async def take_newest(readers: Sequence[BackwardsReader[T]], order: Callable[[T], Any]) -> tuple[T | None, int]:
    """Take the greatest by `order` of what the readers return next; return it, and how many events were read.

    None if no reader has one left, or none within its bound.
    """
    heads: list[tuple[T, BackwardsReader[T]]] = []
    read = 0
    for reader in readers:
        head, count = await reader.peek()
        read += count
        if head is not None:
            heads.append((head, reader))
    if not heads:
        return None, read
    newest, reader = max(heads, key=lambda each: order(each[0]))
    reader.take()
    return newest, read
