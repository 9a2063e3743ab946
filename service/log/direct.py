"""Handles ordinary appends before they reach Litestar, whose handling of a request costs as much as a small append.

Such a request is authenticated, limited, counted and refused like any other. A request that is out of the ordinary, by
its size or its `Origin` for example, goes through Litestar to the route `append_to_log`, whose OpenAPI description
covers both.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, cast

from litestar import Request
from litestar.types import ASGIApp, Receive, Send
from litestar.types import Scope as Connection

from ...journal.http.wire import IDENTITY_HEADER, MEDIA_TYPE
from ..limits import BODY_BYTES_MAX
from ..problems import handle
from .appending import append
from .routes import append_to_log
from .served import served_by

_PATH: Final = "/log/append"
_IDENTITY: Final = IDENTITY_HEADER.lower().encode()
_HEADERS: Final = ((b"content-type", MEDIA_TYPE.encode()), (b"cache-control", b"no-store"))


class DirectAppends:
    """ASGI application around another one; `middleware` is what stands before all routes, the callers' keys."""

    def __init__(self, app: ASGIApp, middleware: Callable[[ASGIApp], ASGIApp]) -> None:
        self._app = app
        # A refusal is answered inside of the middleware, too, so that its bytes are counted.
        self._append = _answering(middleware(_answering(_append)))

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Pass the request on, unless it is a usual append."""
        if scope["path"] == _PATH and scope.get("method") == "POST" and _is_usual(scope):
            request = cast("dict[str, Any]", scope)
            request["route_handler"], request["path_template"] = append_to_log, _PATH
            await self._append(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _is_usual(scope: Connection) -> bool:
    """Whether the body has a known size within the limit, and no page of another site has sent it."""
    headers = _headers(scope)
    length = headers.get(b"content-length", b"")
    return length.isdigit() and int(length) <= BODY_BYTES_MAX and b"origin" not in headers


def _headers(scope: Connection) -> Mapping[bytes, bytes]:
    return dict(cast("list[tuple[bytes, bytes]]", scope["headers"]))


async def _append(scope: Connection, receive: Receive, send: Send) -> None:
    body = await _body(receive)
    if body is None:
        return
    meant = _headers(scope).get(_IDENTITY, b"").decode("latin-1")
    log = await served_by(scope["litestar_app"].state, meant)
    answer = await append(log.relay(), body)
    headers = [*_HEADERS, (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer, "more_body": False})


async def _body(receive: Receive) -> bytes | None:
    """The body of a request; None if its client has gone before it was complete."""
    parts = []
    while True:
        message = cast("dict[str, Any]", await receive())
        if message["type"] == "http.disconnect":
            return None
        parts.append(message["body"])
        if not message["more_body"]:
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _answering(app: ASGIApp) -> ASGIApp:
    """The application, with its errors answered as those of all routes."""

    async def answered(scope: Connection, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except Exception as error:
            request: Request[Any, Any, Any] = Request(scope, receive, send)
            response = handle(request, error).to_asgi_response(app=None, request=request)
            await response(scope, receive, send)

    return cast("Callable[[Any, Any, Any], Awaitable[None]]", answered)
