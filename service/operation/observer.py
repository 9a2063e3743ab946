"""Observes each request from outside the application: counts it, and writes a line of the access log."""

import asyncio
import logging
import re
import time
from typing import Any, Final, cast

import anyio
import orjson
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Send
from litestar.types import Scope as Connection

from ..authentication import CALLER
from ..problems import CONTENT_TYPE, Problem
from ..problems import answer as problem_answer
from .requests import NO_ROUTE, Answered, RequestCounts

# The logger of the access log: one JSON object a line. It has no handler, and so writes nothing, unless it gets one.
ACCESS_LOG: Final = logging.getLogger("journeyman.access")
ACCESS_LOG.propagate = False

_STREAMS: Final = (b"text/event-stream", b"application/x-ndjson")
_TRACEPARENT: Final = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_CLIENT_GONE: Final = 499  # as other servers log a request whose client has left before an answer began


class Observer:
    """ASGI application around another one; it sees refused requests and unknown paths, too."""

    def __init__(self, app: ASGIApp, counts: RequestCounts, stopping: anyio.Event) -> None:
        self._app = app
        self._counts = counts
        self._stopping = stopping

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Pass the request on, and record its end, however it ends."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        begun, answer = time.perf_counter(), _Answer(send)
        self._counts.running += 1
        try:
            await self._app(scope, receive, cast("Send", answer.send))
        except asyncio.CancelledError:
            if not self._stopping.is_set():
                raise
            if not answer.status:  # the drain is over, and with this task ends the request
                await _give_up(answer)
        finally:
            self._counts.running -= 1
            self._record(cast("dict[str, Any]", scope), answer, time.perf_counter() - begun)

    def _record(self, scope: dict[str, Any], answer: "_Answer", seconds: float) -> None:
        route = scope.get("path_template") or NO_ROUTE
        status = answer.status or _CLIENT_GONE
        self._counts.add(Answered(route, scope["method"], status, seconds, answer.body_bytes, answer.is_stream))
        if ACCESS_LOG.handlers:
            ACCESS_LOG.info("%s", _line(scope, route, status, answer.body_bytes, seconds))


class _Answer:
    """What is sent to the client: the status, and the bytes of the body."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.body_bytes = 0
        self.is_stream = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.is_stream = any(
                name == b"content-type" and value.startswith(_STREAMS) for name, value in message["headers"]
            )
        elif message["type"] == "http.response.body":
            self.body_bytes += len(message.get("body", b""))
        await self._send(message)


async def _give_up(answer: _Answer) -> None:
    """Answer a request that has not ended within the drain."""
    detail = "the service has stopped before it could answer; whether the request has had an effect is unknown"
    response = problem_answer(Problem(503, "stopping", detail, retry_after=1))
    headers = {"content-type": CONTENT_TYPE, "content-length": str(len(response.content)), "connection": "close"}
    encoded = [(name.lower().encode(), value.encode()) for name, value in {**headers, **response.headers}.items()]
    await answer.send({"type": "http.response.start", "status": 503, "headers": encoded})
    await answer.send({"type": "http.response.body", "body": response.content, "more_body": False})


def _line(scope: dict[str, Any], route: str, status: int, body_bytes: int, seconds: float) -> str:
    """The line of a request. It holds the name of the caller's key and never the key; no header and no query."""
    caller, client = scope.get("state", {}).get(CALLER), scope.get("client")
    said = {
        "time": round(time.time(), 6),
        "method": scope["method"],
        "route": route,
        "path": scope["path"],
        "status": status,
        "seconds": round(seconds, 6),
        "bytes": body_bytes,
        "caller": None if caller is None else caller.name,
        "client": None if client is None else client[0],
        "trace": _trace_id(scope["headers"]),
    }
    return orjson.dumps(said).decode()


def _trace_id(headers: list[tuple[bytes, bytes]]) -> str | None:
    """Return the trace id of the W3C header `traceparent`; None if there is no valid one."""
    found = next((_TRACEPARENT.fullmatch(value) for name, value in headers if name == b"traceparent"), None)
    return None if found is None else found[1].decode()
