"""Authenticates each request by its API key, and checks that the key permits what the request asks.

A key comes as `Authorization: Bearer KEY`, or as the password of `Basic`. Each route names its scope in
`opt={"scope": Scope.READ}`; `None` there makes it public. A service without keys answers only requests whose `Host` is
this machine's loopback name or address, so that no web page reaches it by DNS rebinding.
"""

import base64
import binascii
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final, cast
from urllib.parse import urlsplit

from litestar.enums import ScopeType
from litestar.handlers import BaseRouteHandler
from litestar.types import ASGIApp, Receive, Send
from litestar.types import Scope as Connection

from .keys import LOCAL, Caller, Keyring, Scope
from .problems import Problem
from .quotas import Quotas
from .watched_answer import WatchedAnswer

# The place of the caller in the state of a connection.
CALLER: Final = "caller"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Authentication:
    """ASGI middleware that finds the caller of each request and refuses what its key does not permit."""

    def __init__(self, app: ASGIApp, keyring: Keyring, origins: Collection[str], quotas: Quotas) -> None:
        self._app = app
        self._keyring = keyring
        self._origins = frozenset(origins)
        self._quotas = quotas

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Pass the request on, with its caller in its state; raise `Problem` 401, 403, 421 or 429 otherwise."""
        if scope["type"] == ScopeType.HTTP:
            headers = dict(cast("list[tuple[bytes, bytes]]", scope["headers"]))
            if self._keyring.is_open:
                _refuse_foreign(headers, self._origins)
            needed = scope_of(scope["route_handler"])
            caller = self._caller(headers, needed)
            scope["state"][CALLER] = caller
            usage = None if caller is None else self._quotas.of(caller)
            if caller is not None and needed is not None and not self._keyring.is_open:
                key = _key_in(headers.get(b"authorization", b""))
                send = WatchedAnswer(send, lambda: self._is_permitted(key, needed)).send
            if usage is not None:
                with usage.request():
                    await self._app(scope, usage.counting_receive(receive), usage.counting_send(send))
                return
        await self._app(scope, receive, send)

    def _is_permitted(self, key: str | None, needed: Scope) -> bool:
        """Whether the key still permits what it did when the answer began."""
        caller = None if key is None else self._keyring.caller(key)
        return caller is not None and caller.may(needed)

    def _caller(self, headers: dict[bytes, bytes], needed: Scope | None) -> Caller | None:
        if self._keyring.is_open:
            return LOCAL
        key = _key_in(headers.get(b"authorization", b""))
        caller = None if key is None else self._keyring.caller(key)
        if needed is not None:
            _check(caller, needed, has_key=key is not None)
        return caller


def permit(scope: Connection, needed: Scope) -> None:
    """Raise `Problem` 401 or 403 unless the caller of a public route may do what needs that scope."""
    headers = dict(cast("list[tuple[bytes, bytes]]", scope["headers"]))
    _check(scope["state"][CALLER], needed, has_key=_key_in(headers.get(b"authorization", b"")) is not None)


def _check(caller: Caller | None, needed: Scope, *, has_key: bool) -> None:
    if caller is None:
        said = "a known key; this one is not" if has_key else "a key"
        raise Problem(401, "unauthorized", f"expected {said}: send it as the header `Authorization: Bearer KEY`")
    if not caller.may(needed):
        raise Problem(
            403, "forbidden", f"this request needs a key with the scope {needed!s}; yours has {_listed(caller)}"
        )


def scope_of(handler: BaseRouteHandler) -> Scope | None:
    """Return the scope that a route names; None for a public one. A route that names none needs `admin`."""
    return cast("Scope | None", handler.opt.get("scope", Scope.ADMIN))


def middleware(keyring: Keyring, origins: Collection[str] = ()) -> Callable[[ASGIApp], ASGIApp]:
    """Return the middleware for an application with these keys."""
    quotas = Quotas()  # one for all routes: the middleware is made for each

    def wrap(app: ASGIApp) -> ASGIApp:
        return cast("Callable[[Any, Any, Any], Awaitable[None]]", Authentication(app, keyring, origins, quotas))

    return wrap


def _key_in(authorization: bytes) -> str | None:
    scheme, _, rest = authorization.decode("latin-1").partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip() or None
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest, validate=True).decode().partition(":")[2] or None
        except (binascii.Error, ValueError):
            return None
    return None


def _refuse_foreign(headers: dict[bytes, bytes], origins: Collection[str]) -> None:
    host = headers.get(b"host", b"").decode("latin-1")
    if _name_of("//" + host) not in _LOOPBACK:
        raise Problem(
            421,
            "misdirected-request",
            "without keys the service answers only requests to localhost; start it with --keys to use another name",
        )
    origin = headers.get(b"origin", b"").decode("latin-1")
    if origin and origin not in origins and urlsplit(origin).netloc != host:
        raise Problem(403, "foreign-origin", "requests from pages of other sites are refused; --cors permits one")


def _name_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _listed(caller: Caller) -> str:
    return ", ".join(sorted(caller.scopes))
