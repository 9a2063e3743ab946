"""One answer with the next events, for which the request may wait."""

import time
from typing import Final

import anyio
import anyio.lowlevel
import msgspec
from litestar.types import Receive, Send
from litestar.types import Scope as Connection

from ..answers import CURSOR_HEADER
from ..limits import POLL_BYTES_MAX, WAIT_SECONDS_MAX
from .connection import while_connected
from .hub import Hub
from .page import ServedEvent, Skipped
from .selection import Reading, Selection, Sentinel

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

    def __init__(self, hub: Hub, selection: Selection, limit: int, wait: float) -> None:
        self._hub = hub
        self._reading = Reading(hub.journal, selection)
        self._limit = limit
        self._until = time.monotonic() + min(wait, WAIT_SECONDS_MAX)
        self._texts: list[bytes] = []
        self._size = 0
        self._rest = Events([], "")
        self.taking_since: float | None = None

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Answer; an error is raised, for a problem document."""
        await while_connected(receive, lambda: self._answer(send))

    def disconnect(self) -> None:
        """Do nothing: it answers once."""

    async def stop(self) -> None:
        """Answer now, since the service stops."""
        await self._reading.stream.abandon()

    async def _answer(self, send: Send) -> None:
        self._hub.readers.add(self)
        try:
            await self._reading.open()
            while not self._hub.stopping.is_set() and await self._take():
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
