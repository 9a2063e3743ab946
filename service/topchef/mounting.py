"""Mounts the services and jobs at a path of the application."""

from typing import Final

from litestar import Router
from litestar.enums import HttpMethod, ScopeType
from litestar.types import ASGIApp, Receive, Send
from litestar.types import Scope as Connection

from .job_routes import JOB_ROUTES
from .service_routes import SERVICE_ROUTES
from .validator_routes import VALIDATOR_ROUTES

# The headers of requests, beside the usual ones.
HEADERS: Final = ("X-HTTP-Method-Override", "X-Claim-Token", "X-Listener", "X-If-Exists")
_OVERRIDE: Final = b"x-http-method-override"
_METHODS: Final = {each.encode(): HttpMethod(each) for each in ("GET", "POST", "PUT", "PATCH")}


def router(path: str) -> Router:
    """Return the routes, below `path`."""
    return Router(path, route_handlers=[*SERVICE_ROUTES, *JOB_ROUTES, *VALIDATOR_ROUTES], tags=["Services and jobs"])


class OverriddenMethods:
    """ASGI application around another one: `X-HTTP-Method-Override` names the method of requests below `path`.

    Clients use it that cannot send PATCH.
    """

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app = app
        self._path = path

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == ScopeType.HTTP and (scope["path"] + "/").startswith(self._path + "/"):
            for name, value in scope["headers"]:
                method = _METHODS.get(value.strip().upper()) if name == _OVERRIDE else None
                if method is not None:
                    scope["method"] = method
        await self._app(scope, receive, send)
