"""Searches the log for a draft that is appended again and may already have landed."""

import bisect
from collections.abc import Iterable
from typing import Any, Final

import apsw

from ..event import Draft, Event
from ..event_decoding import readable
from .limits import SEARCH_STEP_POSITIONS, TRANSACTIONS_REMEMBERED

_SEARCH: Final = "SELECT position, event FROM events WHERE position > ? AND position <= ? AND instr(event, ?)"

Identity = tuple[str, int]


class Landmarks:
    """Maps the numbers of this process's writer to the lowest offsets at which their events can be.

    The numbers of a writer rise with the offsets: they are assigned under the lock, and a draft that did not land gets
    a new number.
    """

    def __init__(self) -> None:
        self._marks: list[tuple[int, int]] = []

    def add(self, seq: int, offset: int) -> None:
        """Note that a transaction began with number `seq` at `offset`."""
        self._marks.append((seq, offset))
        # The oldest mark stays: no event of this writer is before it.
        if len(self._marks) > 2 * TRANSACTIONS_REMEMBERED:
            del self._marks[1 : TRANSACTIONS_REMEMBERED + 1]

    def lowest_offset(self, seq: int) -> int:
        """The offset below which there is no event with that number or a higher one."""
        marks = list(self._marks)
        return marks[max(0, bisect.bisect_right(marks, seq, key=lambda mark: mark[0]) - 1)][1] if marks else 0


def identity_of(draft: Draft) -> Identity:
    """The writer and number under which a numbered draft stands in the log: those of its origin, if it has one."""
    return draft.origin or (draft.writer, draft.seq)


def identities(drafts: Iterable[Draft]) -> set[Identity]:
    """The writer and number of each draft that was handed in before."""
    return {(draft.writer, draft.seq) for draft in drafts if draft.seq}


def search(connection: apsw.Connection, wanted: set[Identity], start: int, end: int) -> dict[Identity, Event]:
    """The wanted events among the offsets from `start` up to, not including, `end`."""
    found: dict[Identity, Event] = {}
    for writer in {writer for writer, _ in wanted}:
        needle = b'"writer":"' + writer.encode() + b'","seq":'
        for low in range(start, end, SEARCH_STEP_POSITIONS):
            high = min(low + SEARCH_STEP_POSITIONS, end)
            rows: list[Any] = connection.execute(_SEARCH, (low, high, needle)).fetchall()
            events, _ = readable([row for _, row in rows], 0, [position - 1 for position, _ in rows])
            for event in events:
                if (event.writer, event.seq) in wanted:
                    found[event.writer, event.seq] = event
            if len(found) == len(wanted):
                return found
    return found
