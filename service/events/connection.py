"""Streams events to one connection: as fast as the reader takes them, until it disconnects."""

import anyio
from litestar.types import Receive, Send
from litestar.types import Scope as Connection

from ...journal.errors import JournalUnavailable
from ..answers import CURSOR_HEADER
from ..connections import while_connected
from ..problems import document_of, told
from .feed import Feed
from .forms import StreamForm
from .hub import Hub
from .selection import EventSelection


class EventStream:
    """The ASGI application that answers one request with a stream."""

    def __init__(self, hub: Hub, selection: EventSelection, form: StreamForm) -> None:
        self._hub = hub
        self._selection = selection
        self._form = form

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Answer with a stream; raise an error before the first event, so that a problem document answers."""
        await while_connected(receive, lambda: self._answer(send))

    async def _answer(self, send: Send) -> None:
        feed = Feed(self._hub, self._selection, self._form)
        try:
            try:
                begin = await feed.open()
            except JournalUnavailable as error:
                if not self._selection.resumes:
                    raise
                await self._tell_outage(error, send)
                return
            if begin is None:
                await send({"type": "http.response.start", "status": 204, "headers": []})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            await self._start(send, str(begin))

            async def write(frames: bytes) -> None:
                await send({"type": "http.response.body", "body": frames, "more_body": True})

            if await feed.run(begin, write):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            with anyio.CancelScope(shield=True):
                await feed.aclose()

    async def _start(self, send: Send, cursor: str) -> None:
        headers = [
            (b"content-type", self._form.media_type.encode()),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),  # a proxy passes each event on at once
            (CURSOR_HEADER.lower().encode(), cursor.encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def _tell_outage(self, error: JournalUnavailable, send: Send) -> None:
        """Answer a reader that reconnects with a stream that ends: after a 503 an `EventSource` would give up."""
        cursor = str(self._selection.cursor)
        await self._start(send, cursor)
        said = self._form.opening(cursor) + self._form.problem(document_of(*told(error, "a stream of events")))
        await send({"type": "http.response.body", "body": said, "more_body": False})
