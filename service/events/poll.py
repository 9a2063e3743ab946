"""Answers a long poll: one answer with the next events, after waiting for them up to a time that the request names."""

import time
from typing import Final

import anyio
import anyio.lowlevel
import msgspec
from litestar.types import Receive, Send
from litestar.types import Scope as Connection

from ...consumers.engine.stream import Phase
from ...journal.cursor import Cursor
from ..answers import CURSOR_HEADER
from ..connections import while_connected
from ..limits import POLL_BYTES_MAX, WAIT_SECONDS_MAX
from .channel import Channel
from .hub import Hub
from .page import Page, ServedEvent, Skipped, further
from .selection import EventSelection, Reading, Sentinel

_encode: Final = msgspec.json.Encoder().encode


class Events(msgspec.Struct):
    """The next events, and the cursor for the request after it.

    `sentinel`: history ends behind these events; only with `include_sentinel`. `ended`: nothing comes after them, since
    `until` has been reached. `skipped` are the records before `cursor` that are not events.
    """

    events: list[ServedEvent]
    cursor: str
    sentinel: bool = False
    ended: bool = False
    skipped: list[Skipped] = msgspec.field(default_factory=list)


class Poll:
    """The ASGI application that answers one request with the events that are there within `wait` seconds."""

    def __init__(self, hub: Hub, selection: EventSelection, limit: int, wait: float) -> None:
        self._hub = hub
        self._selection = selection
        self._reading = Reading(hub.journal, selection)
        self._limit = limit
        self._until = time.monotonic() + min(wait, WAIT_SECONDS_MAX)
        self._texts: list[bytes] = []
        self._size = 0
        self._rest = Events([], "")
        self.taking_since: float | None = None

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Answer with the events; raise an error, so that a problem document answers."""
        await while_connected(receive, lambda: self._answer(send))

    def disconnect(self) -> None:
        """Do nothing: it answers once."""

    async def stop(self) -> None:
        """Answer now, because the service stops."""
        await self._reading.stream.abandon()

    async def _answer(self, send: Send) -> None:
        self._hub.readers.add(self)
        try:
            await self._reading.open()
            self._rest.cursor = str(self._reading.cursor)
            while not self._hub.stopping.is_set():
                if self._waits_with_others():
                    done = await self._take_live()
                else:
                    done = not await self._take()
                if done:
                    break
                await anyio.lowlevel.checkpoint()  # the log may answer without a wait, page after page
        finally:
            self._hub.readers.discard(self)
            with anyio.CancelScope(shield=True):
                await self._reading.aclose()
        rest = _encode(self._rest)
        body = b'{"events":[%b],%b' % (b",".join(self._texts), rest.partition(b"],")[2])
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (CURSOR_HEADER.lower().encode(), self._rest.cursor.encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _take(self) -> bool:
        """Take the next page; return whether to go on."""
        reading, answer = self._reading, self._rest
        try:
            page = await reading.next_available(0.0 if self._texts else max(0.0, self._until - time.monotonic()))
        except TimeoutError:
            answer.cursor = str(reading.cursor)
            return False
        if page is None or isinstance(page, Sentinel):
            answer.cursor = str(reading.cursor)
            answer.sentinel, answer.ended = page is not None, page is None and not self._hub.stopping.is_set()
            return False
        return self._take_page(page)

    def _take_page(self, page: Page) -> bool:
        """Take the events of a page, as many as the answer may contain; return whether to go on."""
        answer = self._rest
        answer.skipped += page.skipped
        for text, cursor in zip(page.texts, page.cursors, strict=True):
            if self._texts and self._size + len(text) > POLL_BYTES_MAX:
                return False
            self._texts.append(text)
            self._size += len(text)
            answer.cursor = cursor
            if len(self._texts) >= self._limit:
                return False
        answer.cursor = page.cursor
        return True

    # -- live --------------------------------------------------------------------------------------------------------

    def _waits_with_others(self) -> bool:
        is_live = self._reading.stream.phase is Phase.LIVE and self._selection.is_shared
        return is_live and not self._texts and self._until > time.monotonic()

    async def _take_live(self) -> bool:
        """Wait for the next events on the shared channel; return whether the answer is complete."""
        cursor = self._reading.cursor
        channel = await self._hub.channel(self._selection, cursor)
        number = channel.join(cursor)
        if number is None:
            await self._take()
            return bool(self._texts)
        self._rest.cursor = str(cursor)
        try:
            await self._reading.aclose()
            with anyio.move_on_after(self._until - time.monotonic()):
                await self._wait_for_page(channel, number, cursor)
        finally:
            self._hub.leave(channel)
        if channel.error is not None and not self._texts:
            raise channel.error
        return True

    async def _wait_for_page(self, channel: Channel, number: int, cursor: Cursor) -> None:
        while not channel.over:
            for page in channel.pages(number):
                number += 1
                mine = page.behind(cursor).later_than(self._selection.since) if isinstance(page, Page) else None
                if mine:
                    self._take_page(mine)
                    return
                cursor = further(cursor, Cursor.parse(page.cursor))
                self._rest.cursor = str(cursor)
            await channel.wait(number)
