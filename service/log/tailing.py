"""Sends the records behind a cursor to a remote reader, as they arrive.

The history of a SQLite file is sent as the text that the file holds, and no record is decoded; for live records all
readers of a service share one tail.
"""

import time
from collections.abc import AsyncIterator

import anyio

from ...journal.cursor import Cursor
from ...journal.divergence import refuse_diverged
from ...journal.http.limits import FRAME_BYTES, FRAME_EVENTS_MAX, HEARTBEAT_SECONDS
from ...journal.http.wire import Failed, Here, framed, framed_page, framed_text
from ...journal.limits import PAGE_EVENTS
from ...journal.log import Log, Page, Textual
from ...journal.tails.subscriber import Subscriber
from .served import ServedLog, told_as_bytes


async def frames(served: ServedLog, cursor: Cursor, poll: float | None) -> AsyncIterator[bytes]:
    """Yield the frames of a tail: for ever, or with `poll` until there are records, at most so many seconds."""
    yield framed(Here({}))  # says at once that the answer arrives as it is written
    try:
        if cursor.marks:
            await refuse_diverged(served.log, cursor)
        offsets = dict(cursor)
        async for text in _history(served, offsets):
            yield text
        async for live in _live(served, Cursor(offsets), None if poll is None else time.monotonic() + poll):
            yield live
    except Exception as error:
        yield framed(Failed(told_as_bytes(error)))


async def _history(served: ServedLog, offsets: dict[int, int]) -> AsyncIterator[bytes]:
    """Yield the records of a file as text, up to a page before its end, and move the offsets behind them."""
    log = served.log
    if not (isinstance(log, Textual) and isinstance(log, Log)) or set(offsets) != {0}:
        return
    limit = PAGE_EVENTS
    while not served.backend.stopping.is_set():
        text = await anyio.to_thread.run_sync(log.text, offsets[0], limit)
        if text is None or text.events < limit:
            return
        offsets[0] = text.offset + text.events
        yield framed_text(0, text.offset, text.events, text.lines)
        # As many as fit a frame, by the size of these; never a multiple, as the next ones may be larger.
        fitting = FRAME_BYTES * text.events // max(1, len(text.lines))
        limit = max(PAGE_EVENTS, min(FRAME_EVENTS_MAX, 2 * limit, fitting))


async def _live(served: ServedLog, cursor: Cursor, deadline: float | None) -> AsyncIterator[bytes]:
    reader = await served.backend.journal.follow(cursor)
    told_at: Cursor | None = None
    # A reader of Kafka may find nothing for a moment although there is more: it is believed once it was at the end.
    end = (await served.log.bounds()).end if served.log.needs_loop else Cursor({})
    try:
        while not served.backend.stopping.is_set():
            page = await reader.page(PAGE_EVENTS, 0.0)
            if page is not None:
                sent = framed_page(page)
                page = await reader.page(PAGE_EVENTS, 0.0)
                yield sent if page is None else sent + framed_page(page)
                if page is not None:
                    continue
            here = reader.cursor
            at_end = all(offset >= end.get(partition, 0) for partition, offset in here.items())
            if here != told_at or deadline is None:
                yield framed(Here(dict(here) if at_end else {}))
            if deadline is not None and (here != cursor or time.monotonic() >= deadline):
                return
            told_at = here
            page = await _next(served, reader, deadline)
            if page is not None:
                yield framed_page(page)
    finally:
        with anyio.CancelScope(shield=True):
            await reader.aclose()


async def _next(served: ServedLog, reader: Subscriber, deadline: float | None) -> Page | None:
    """Wait for the next page: at most as long as a stream may be silent, and no longer than the service runs."""
    seconds = HEARTBEAT_SECONDS if deadline is None else min(HEARTBEAT_SECONDS, max(0.0, deadline - time.monotonic()))
    page: Page | None = None
    with served.waits.one():
        page = await reader.page(PAGE_EVENTS, seconds)
    return page  # noqa: RET504 - None if the wait was ended
