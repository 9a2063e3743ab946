"""The HTTP connections of the server, with bounds that uvicorn leaves open.

A connection above the limit gets one answer, 503, and is closed; more than `CONNECTIONS_REFUSED_MAX` above it, it is
closed at once. A client has `HEAD_SECONDS_MAX` to send the head of a request, of at most `HEAD_BYTES_MAX`, and
`BODY_SECONDS_MAX` to send its body. So a client that sends slowly, or without end, holds neither a connection nor
memory.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from .limits import BODY_SECONDS_MAX, CONNECTIONS_REFUSED_MAX, HEAD_BYTES_MAX, HEAD_SECONDS_MAX, JOINED_BYTES_MAX
from .problems import CONTENT_TYPE, encoded_problem

_SLOW: Final = encoded_problem(408, "too-slow", "the request has not arrived in time; send it again")
_LARGE: Final = encoded_problem(431, "head-too-large", f"a request's head takes at most {HEAD_BYTES_MAX:,} bytes")
_MALFORMED: Final = encoded_problem(400, "malformed-request", "this is not a request of HTTP/1.1")
_FULL: Final = encoded_problem(
    503, "too-many-connections", "the service has as many connections as it takes; try again"
)


class HeldHead:
    """The transport of one answer: its head waits for the body of the same pass of the loop, to be sent with it.

    Two parts would be two system calls here, and would wake the client twice.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: bytes | None = None
        self._has_begun = False

    def write(self, data: bytes) -> None:
        """Hold the first part back, at most to the end of this pass; send all others at once."""
        if not self._has_begun:
            self._has_begun, self._held = True, data
            self._loop.call_soon(self._flush)
        elif self._held is not None:
            if len(data) <= JOINED_BYTES_MAX:
                data, self._held = self._held + data, None
            self._flush()
            self._transport.write(data)
        else:
            self._transport.write(data)

    def _flush(self) -> None:
        held, self._held = self._held, None
        if held is not None and not self._transport.is_closing():
            self._transport.write(held)

    def is_closing(self) -> bool:
        """Whether the transport is closed, or is about to be."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Close the transport, once all has been sent."""
        self._flush()
        self._transport.close()


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    _deadline: asyncio.TimerHandle | None = None
    _in_head = False
    _head_bytes = 0
    # How many connections above the limit there were when this one came, with itself.
    _excess = 0

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        # uvicorn would answer in plain text, and would keep what sends no request.
        self._most, self.limit_concurrency = self.limit_concurrency, None

    def connection_made(self, transport: Any) -> None:
        """Await the first request, or close at once a connection that cannot even be refused in words."""
        super().connection_made(transport)
        self._excess = 0 if self._most is None else len(self.connections) - self._most
        if self._excess > CONNECTIONS_REFUSED_MAX:
            transport.abort()
        else:
            self._expect(HEAD_SECONDS_MAX)

    def connection_lost(self, exc: Exception | None) -> None:
        """Await nothing more."""
        self._expect(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived, and refuse a head that is too large."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES_MAX:
            self._refuse(431, _LARGE)

    def on_message_begin(self) -> None:
        """Await the head of the request that begins."""
        super().on_message_begin()
        self._in_head = True
        self._expect(HEAD_SECONDS_MAX)

    def on_headers_complete(self) -> None:
        """Start the application, and await the body."""
        self._in_head = False
        self._expect(BODY_SECONDS_MAX)
        if self._excess > 0:
            self.app = _refuse_connection
        super().on_headers_complete()
        self.cycle.transport = HeldHead(self.transport, self.loop)  # type: ignore[assignment]  # has all that it calls

    def on_message_complete(self) -> None:
        """Await nothing until the next request: its time is the keep-alive's."""
        self._head_bytes = 0
        self._expect(None)
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are no request; the parser's own words are not passed on."""
        self._refuse(400, _MALFORMED)

    def _expect(self, seconds: float | None) -> None:
        """End the connection unless the next part of a request arrives within `seconds`."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._end_slow)

    def _end_slow(self) -> None:
        if self._head_bytes:
            self._refuse(408, _SLOW)
        else:
            self.transport.close()  # nothing was asked

    def _refuse(self, status: int, problem: bytes) -> None:
        """Answer in place of the application, unless its answer has begun, and end the connection."""
        self._expect(None)
        cycle = self.cycle
        if cycle is None or cycle.response_complete or not (self._in_head or cycle.response_started):
            head = b"content-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[status] + head % (CONTENT_TYPE.encode(), len(problem)) + problem)
        self.transport.close()


async def _refuse_connection(scope: Any, receive: Any, send: Any) -> None:
    """Answer in place of the application, on a connection above the limit."""
    head = {"content-type": CONTENT_TYPE, "content-length": str(len(_FULL)), "retry-after": "1", "connection": "close"}
    headers = [(name.encode(), value.encode()) for name, value in head.items()]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": _FULL, "more_body": False})
