"""The events of one task in a long stretch that the index does not cover, found without decoding the others.

SQLite looks for the task's id in the bytes of each record, and for the events of sessions; only these are read. It
costs a fraction of taking all of them into the index, which is left to a thread.
"""

from typing import Final

import orjson

from ...journal.limits import PAGE_EVENTS
from ...journal.log import Extracting, Log
from ..limits import INDEX_NEWS_EVENTS
from ..state import names
from .batch import Batch
from .entries import NOWHERE, Mark
from .records import rows_at

# What a record may hold that is written in other bytes than ours.
_ESCAPE: Final = rb"\u"
_SESSIONS: Final = b'"worker.'  # what the names of their events begin with


async def search(log: Log, task_id: str, base: int, end: int) -> Batch | None:
    """A batch of the events of partition 0 from `base` up to `end` that holds those of a task, and of sessions.

    None if they are to be read one by one: the log cannot search, a record is damaged, or it would take long to learn
    whether sessions ended rightly.
    """
    if not isinstance(log, Extracting):
        return None
    batch = Batch(0, base)
    offsets = _found(log, base, end, orjson.dumps(task_id), _SESSIONS, _ESCAPE)
    if offsets is None or not await _take(log, batch, offsets):
        return None
    batch.next_offset = end
    allowed = INDEX_NEWS_EVENTS
    for worker, mark in batch.expiries():
        begin = min(max(base, mark.last), mark.offset)
        allowed -= mark.offset - begin
        sign = await _last_sign(log, worker, begin, mark) if allowed >= 0 else None
        if sign is None:
            return None
        batch.correct(worker, mark, sign)
    return batch


def _found(log: Extracting, begin: int, end: int, *needles: bytes) -> list[int] | None:
    """The offsets of the records that hold one of the needles."""
    wanted = " OR ".join(f"instr(event, X'{needle.hex()}')" for needle in needles)
    offsets: list[int] = []
    while begin < end:
        found = log.extract(begin, min(PAGE_EVENTS, end - begin), f"iif({wanted}, 'x', '')")
        if found is None:
            return None
        count, lines = found
        if b"x" in lines:
            offsets += [offset for offset, line in enumerate(lines.split(b"\n"), begin) if line]
        begin += count
    return offsets


async def _take(log: Log, batch: Batch, offsets: list[int]) -> bool:
    rows = await rows_at(log, 0, offsets)
    if not rows.keys() >= set(offsets):
        return False  # retention has removed some just now
    batch.take_rows(offsets, [rows[offset] for offset in offsets])
    return True


async def _last_sign(log: Extracting, worker: str, begin: int, mark: Mark) -> int | None:
    """The last sign of life of a worker from `begin` up to its expiry, `NOWHERE` if there is none; None if unknown.

    The expiry may be one itself, if the worker says it of itself.
    """
    assert isinstance(log, Log)
    near = Batch(0, begin)
    offsets = _found(log, begin, mark.offset + 1, orjson.dumps(worker), _ESCAPE)
    if offsets is None or not await _take(log, near, offsets):
        return None
    later = NOWHERE
    for each in reversed(near.events_of(worker).marks):
        if each.offset != mark.offset and each.name != names.EXPIRED:
            break  # what stands before it is of another session, or is outdone by it
        later = max(later, each.sign)
    return later
