"""Record the requests of an ASGI application."""

from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any, Final

from .http_task import HTTPTask
from .journal_tracker import JournalTracker
from .recording import Exchange, recorder_of

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

IGNORED: Final = ("/tracker",)


class TrackASGI:
    """Records each request from its arrival to the last byte of its response.

    `app = TrackASGI(app, "sqlite:///shop.db")` is all it takes. A request never fails and never waits because it is
    recorded. `ignore` are paths that are not recorded. An error, a cancellation or a client that disconnects ends the
    record with `recorded_successfully` False.
    """

    def __init__(self, app: App, tracker: JournalTracker[HTTPTask] | str, ignore: Collection[str] = IGNORED) -> None:
        self._app = app
        self._recorder, self._sweeper = recorder_of(tracker)
        self._ignored = frozenset(ignore)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and record it."""
        if scope["type"] == "lifespan":
            self._sweeper()
        if scope["type"] != "http" or scope["path"] in self._ignored:
            await self._app(scope, receive, send)
            return
        exchange = Exchange(self._recorder, lambda: _request(scope))
        try:
            await self._app(scope, receive, _watched(send, exchange))
        finally:
            exchange.end()


def _watched(send: Send, exchange: Exchange) -> Send:
    async def watched(message: Message) -> None:
        await send(message)
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
            exchange.headers = lambda: _decoded(message.get("headers", ()))
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            exchange.is_complete = True

    return watched


def _request(scope: Scope) -> dict[str, Any]:
    client = scope.get("client")
    return {
        "protocol": scope.get("scheme", "http"),
        "method": scope["method"],
        "path": scope["path"],
        "query": scope.get("query_string", b"").decode("latin-1"),
        "client": client[0] if client else None,
        "headers": _decoded(scope["headers"]),
    }


def _decoded(headers: Any) -> list[tuple[str, str]]:
    return [(bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in headers]
