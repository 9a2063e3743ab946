"""Find the events of one task, or of sessions, in a long stretch that the index does not cover.

The bytes of the records are searched for the task's id and the events of sessions; only matching records are decoded.
This search costs a fraction of indexing the stretch; a background thread does the indexing.
"""

from typing import Final, NamedTuple

import orjson

from ...journal.limits import PAGE_EVENTS
from ...journal.log import Log, Textual
from ..limits import INDEX_CLOCK_SECONDS, INDEX_NEWS_EVENTS
from ..state import names
from .batch import Batch
from .entries import NOWHERE, SessionMark
from .keys import made_at
from .records import rows_at

# Records that contain this may hold the id in escaped form.
_ESCAPE: Final = rb"\u"
_SESSIONS: Final = b'"worker.'  # what the names of their events begin with
_JOINING: Final = orjson.dumps(names.JOINED)


class Searched(NamedTuple):
    """What was found in a stretch; `begins_later` says whether the beginning of the stretch was left out."""

    batch: Batch
    begins_later: bool


async def search(log: Log, task_id: str, base: int, end: int) -> Searched | None:
    """Return a batch with the events of a task, and of sessions, in partition 0 from `base` up to `end`.

    It may begin at the submission of the task, found by the time in its id. A worker that claims the task has read all
    events before that, so its session had not ended there.

    None if the records have to be read one by one: the log cannot be searched, a record is damaged, or verifying the
    expiries of sessions would take long.
    """
    if not isinstance(log, Textual):
        return None
    needle = orjson.dumps(task_id)
    begin = await _start_position(log, task_id, base, end)
    batch = await _searched(log, begin, base, end, needle)
    if batch is not None and begin > base and not batch.holds_submission(task_id):
        begin, batch = base, await _searched(log, base, base, end, needle)
    return None if batch is None else Searched(batch, begin > base)


async def search_sessions(log: Log, worker: str, base: int, end: int) -> Searched | None:
    """Return a batch with the beginnings and ends of sessions in partition 0 from `base` up to `end`.

    It may begin where `worker` has joined, found by the time in its id; not so for an empty id. None as for `search`.
    """
    if not isinstance(log, Textual):
        return None
    begin = await _start_position(log, worker, base, end)
    batch = await _searched(log, begin, base, end)
    if batch is not None and begin > base and not batch.holds_joining(worker):
        begin, batch = base, await _searched(log, base, base, end)
    return None if batch is None else Searched(batch, begin > base)


async def find_joining(log: Log, worker: str, first: int, end: int) -> int | None:
    """Return where a worker has joined partition 0, from `first` up to `end`, by the time in its id; None if unknown.

    Only the stretch of `INDEX_CLOCK_SECONDS` around that time is searched.
    """
    moment = made_at(worker)
    if moment is None or not isinstance(log, Textual):
        return None
    begin = max(first, (await log.position_at(max(0.0, moment - INDEX_CLOCK_SECONDS)))[0])
    end = min(end, (await log.position_at(moment + INDEX_CLOCK_SECONDS))[0])
    while begin < end:
        following = min(begin + PAGE_EVENTS, end)
        near = Batch(0, begin)
        offsets = _found(log, begin, following, _JOINING, _ESCAPE)
        if offsets is None or not await _take(log, near, offsets):
            return None
        joined = [mark.offset for mark in near.events_of(worker).marks if mark.name == names.JOINED]
        if joined:
            return joined[0]
        begin = following
    return None


async def _start_position(log: Log, identifier: str, base: int, end: int) -> int:
    """Return an offset before the first event of a task or worker; `base` if no later one is known."""
    moment = made_at(identifier)
    if moment is None:
        return base
    place = (await log.position_at(max(0.0, moment - INDEX_CLOCK_SECONDS)))[0]
    return place if base < place < end else base


async def _searched(log: Textual, begin: int, base: int, end: int, *needles: bytes) -> Batch | None:
    assert isinstance(log, Log)
    batch = Batch(0, begin)
    offsets = _found(log, begin, end, *needles, _SESSIONS, _ESCAPE)
    if offsets is None or not await _take(log, batch, offsets):
        return None
    batch.next_offset = end
    allowed = INDEX_NEWS_EVENTS
    for worker, mark in batch.expiries():
        lowest = min(max(base, mark.last), mark.offset)
        allowed -= mark.offset - lowest
        sign = await _last_sign(log, worker, lowest, mark) if allowed >= 0 else None
        if sign is None:
            return None
        batch.correct(worker, mark, sign)
    return batch


def _found(log: Textual, begin: int, end: int, *needles: bytes) -> list[int] | None:
    """Return the offsets of the records that contain one of the needles; None if the log cannot be searched."""
    offsets: list[int] = []
    while begin < end:
        text = log.text(begin, min(PAGE_EVENTS, end - begin))
        if text is None:
            return None
        present = [needle for needle in needles if needle in text.lines]
        if present:
            lines = enumerate(text.lines.split(b"\n"), begin)
            offsets += [offset for offset, line in lines if any(needle in line for needle in present)]
        begin += text.events
    return offsets


async def _take(log: Log, batch: Batch, offsets: list[int]) -> bool:
    rows = await rows_at(log, 0, offsets)
    if not rows.keys() >= set(offsets):
        return False  # retention has removed some meanwhile
    batch.take_rows(offsets, [rows[offset] for offset in offsets])
    return True


async def _last_sign(log: Textual, worker: str, begin: int, mark: SessionMark) -> int | None:
    """Return the last sign of life of a worker from `begin` up to its expiry; `NOWHERE` for none, None if unknown.

    The expiry itself is one if the worker has expired its own session.
    """
    assert isinstance(log, Log)
    near = Batch(0, begin)
    offsets = _found(log, begin, mark.offset + 1, orjson.dumps(worker), _ESCAPE)
    if offsets is None or not await _take(log, near, offsets):
        return None
    later = NOWHERE
    for each in reversed(near.events_of(worker).marks):
        if each.offset != mark.offset and each.name != names.EXPIRED:
            break  # earlier events are of another session, or this one is the later sign
        later = max(later, each.sign)
    return later
