"""Select what a list shows: filter by words, sort by a column, cut to the part that is seen. Pure."""

import heapq
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")
# Returns what values are sorted by in one column.
Key = Callable[[T], Any]


class Words:
    """The words of a filter: a text fits if it contains each of them, in any case, and none of those behind a `-`."""

    def __init__(self, text: str) -> None:
        words = text.casefold().split()
        self._wanted = [word for word in words if not word.startswith("-")]
        self._unwanted = [word[1:] for word in words if word.startswith("-") and len(word) > 1]

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self._wanted or self._unwanted)

    def fit(self, *texts: str) -> bool:
        """Return whether the texts, together, fit."""
        text = " ".join(texts).casefold()
        for word in self._wanted:
            if word not in text:
                return False
        return not (self._unwanted and any(word in text for word in self._unwanted))


class Part(NamedTuple):
    """The values from number `first` on that are seen, and how many there are in all."""

    values: Sequence[Any]
    first: int
    total: int


def part_of(values: Sequence[T], first: int, rows: int, key: Key[T] | None, *, descending: bool) -> Part:
    """Return `rows` of the values from number `first` on, sorted by `key`; None for their own order."""
    total = len(values)
    first = max(0, min(first, total - rows))
    if key is None:
        ordered = reversed(values) if descending else iter(values)
        return Part(list(islice(ordered, first, first + rows)), first, total)
    if first + rows < total // 8:
        pick = heapq.nlargest if descending else heapq.nsmallest
        return Part(pick(first + rows, values, key)[first:], first, total)
    return Part(sorted(values, key=key, reverse=descending)[first : first + rows], first, total)


def part_in_order(values: Any, first: int, rows: int, *, newest_first: bool) -> Part:
    """Return `rows` of the values of a dictionary from number `first` on, in its order; no other value is touched."""
    total = len(values)
    first = max(0, min(first, total - rows))
    ordered: Iterable[Any] = reversed(values) if newest_first else iter(values)
    return Part(list(islice(ordered, first, first + rows)), first, total)
