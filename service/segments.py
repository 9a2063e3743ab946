"""Names with a slash in the path of a request: `/locks/a%2Fb` is about the lock `a/b`.

Servers decode the whole path before it is divided at its slashes. So the path is decoded here segment by segment, with
another character for each encoded slash, until the parameters of the route are known.
"""

from typing import Any, Final, cast
from urllib.parse import unquote

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Send
from litestar.types import Scope as Connection

# A character for private use: it stands in no name.
_SLASH: Final = "\ue000"


class DecodedSegments:
    """ASGI application around another one: it decodes the path of each request segment by segment."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == ScopeType.HTTP:
            raw: bytes = scope.get("raw_path") or b""
            if b"%2f" in raw or b"%2F" in raw:
                segments = raw.partition(b"?")[0].decode("latin-1").split("/")
                scope["path"] = "/".join(unquote(each).replace("/", _SLASH) for each in segments)
        await self._app(scope, receive, send)


def restored_slashes(app: ASGIApp) -> ASGIApp:
    """Return a middleware that gives the parameters of the path their slashes back."""

    async def restore(scope: Connection, receive: Receive, send: Send) -> None:
        if _SLASH in scope["path"]:
            parameters = cast("dict[str, Any]", scope["path_params"])
            for name, value in parameters.items():
                parameters[name] = value.replace(_SLASH, "/") if isinstance(value, str) else value
        await app(scope, receive, send)

    return restore
