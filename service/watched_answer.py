"""Ends a streamed answer, with a problem as its last frame, once the key of its request no longer permits it."""

import time
from collections.abc import Callable
from typing import Final, cast

from litestar.types import Message, Send

from .limits import KEYS_RELOAD_SECONDS
from .problems import encoded_problem

# How each kind of stream says a problem, which is its last frame.
_FRAMES: Final = {
    b"text/event-stream": b"event: problem\ndata: %b\n\n",
    b"application/x-ndjson": b'{"problem":%b}\n',
}
_SENTENCE: Final = "the key of this stream was removed, or no longer permits it; the stream ends"


class WatchedAnswer:
    """The answer to one request. `is_permitted` is asked before a frame of a stream, at most as often as keys are read.

    The server then tells the application what it tells it when a client has gone, so nothing is left behind.
    """

    def __init__(self, send: Send, is_permitted: Callable[[], bool]) -> None:
        self._send = send
        self._is_permitted = is_permitted
        self._frame: bytes | None = None
        self._asked_at = time.monotonic()
        self._is_over = False

    async def send(self, message: Message) -> None:
        """Pass a message on; instead of a frame that is no longer permitted send the problem, and then nothing."""
        if self._is_over:
            return
        if message["type"] == "http.response.start":
            kinds = [value.partition(b";")[0] for name, value in message["headers"] if name.lower() == b"content-type"]
            self._frame = next((_FRAMES[kind] for kind in kinds if kind in _FRAMES), None)
        elif self._frame is not None and time.monotonic() - self._asked_at >= KEYS_RELOAD_SECONDS:
            self._asked_at = time.monotonic()
            if not self._is_permitted():
                self._is_over = True
                body = self._frame % encoded_problem(401, "unauthorized", _SENTENCE)
                await self._send(cast("Message", {"type": "http.response.body", "body": body, "more_body": False}))
                return
        await self._send(message)
