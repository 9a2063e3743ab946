"""The HTTP library that is used if the caller gives none: httpx2, with connections that stay open."""

import os
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from .limits import CONNECT_SECONDS, CONNECTION_IDLE_SECONDS, REQUEST_SECONDS_DEFAULT

if TYPE_CHECKING:
    import httpx2

# The errors of libraries that are no `OSError`, by the names that requests, httpx and aiohttp export.
_ERROR_NAMES: Final = ("RequestException", "HTTPError", "ClientError", "InvalidURL")
# Errors of a connection that was never there, so that the request has not been sent, by their names.
_UNSENT_NAMES: Final = frozenset({"ConnectError", "ConnectTimeout", "ClientConnectorError", "ConnectionRefusedError"})


class HTTPLibrary(Protocol):
    """What a library must have: `get`, `post`, `patch` and `put`, as `requests` has them.

    They take a URL, `headers=` and `json=`, also `timeout=` in seconds if they have such a parameter, and return a
    response with `status_code`, `headers` and `json()`. `requests` and httpx are such libraries, and their sessions.
    """

    @property
    def get(self) -> Callable[..., Any]:
        """Sends a GET request."""

    @property
    def post(self) -> Callable[..., Any]:
        """Sends a POST request."""

    @property
    def patch(self) -> Callable[..., Any]:
        """Sends a PATCH request."""

    @property
    def put(self) -> Callable[..., Any]:
        """Sends a PUT request."""


def network_errors(library: object) -> tuple[type[Exception], ...]:
    """Return the errors by which a library says that a request has failed."""
    if isinstance(library, KeptConnections | AsyncKeptConnections):
        return (OSError, library.error)
    named = (getattr(library, name, None) for name in _ERROR_NAMES)
    return (OSError, *(each for each in named if isinstance(each, type) and issubclass(each, Exception)))


def was_sent(error: BaseException) -> bool:
    """Return False if a request has surely not reached the server, since there was no connection."""
    return type(error).__name__ not in _UNSENT_NAMES


def _httpx2() -> Any:
    try:
        import httpx2
    except ImportError as error:
        raise ImportError(
            "journeyman.topchef sends requests by httpx2: pip install 'journeyman[http]', or give another library as "
            "http_library="
        ) from error
    return httpx2


def _options(module: Any) -> dict[str, Any]:
    return {
        "timeout": module.Timeout(REQUEST_SECONDS_DEFAULT, connect=CONNECT_SECONDS),
        "limits": module.Limits(max_connections=None, keepalive_expiry=CONNECTION_IDLE_SECONDS),
        "follow_redirects": True,
    }


class KeptConnections:
    """Sends requests over connections that stay open; threads share it, and a forked child opens its own."""

    def __init__(self) -> None:
        self._module = _httpx2()
        self.error: type[Exception] = self._module.HTTPError
        self._guard = threading.Lock()
        self._client: httpx2.Client | None = None
        self._process = 0

    def _request(self, method: str, url: str, options: dict[str, Any]) -> Any:
        timeout = options.pop("timeout", REQUEST_SECONDS_DEFAULT)
        options["timeout"] = self._module.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS))
        return self._connected().request(method, url, **options)

    def get(self, url: str, /, **options: Any) -> Any:
        """Send a GET request."""
        return self._request("GET", url, options)

    def post(self, url: str, /, **options: Any) -> Any:
        """Send a POST request."""
        return self._request("POST", url, options)

    def patch(self, url: str, /, **options: Any) -> Any:
        """Send a PATCH request."""
        return self._request("PATCH", url, options)

    def put(self, url: str, /, **options: Any) -> Any:
        """Send a PUT request."""
        return self._request("PUT", url, options)

    def _connected(self) -> "httpx2.Client":
        client = self._client
        if client is not None and self._process == os.getpid():
            return client
        with self._guard:
            if self._client is None or self._process != os.getpid():
                self._process = os.getpid()
                self._client = self._module.Client(**_options(self._module))
                weakref.finalize(self, self._client.close)
            return self._client

    def close(self) -> None:
        """Close the connections; they are opened again by the next request."""
        with self._guard:
            client, self._client = self._client, None
        if client is not None and self._process == os.getpid():
            client.close()


class AsyncKeptConnections:
    """As `KeptConnections`, for one event loop."""

    def __init__(self) -> None:
        self._module = _httpx2()
        self.error: type[Exception] = self._module.HTTPError
        self._client: httpx2.AsyncClient | None = None

    async def _request(self, method: str, url: str, options: dict[str, Any]) -> Any:
        timeout = options.pop("timeout", REQUEST_SECONDS_DEFAULT)
        options["timeout"] = self._module.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS))
        if self._client is None:
            self._client = self._module.AsyncClient(**_options(self._module))
        return await self._client.request(method, url, **options)

    async def get(self, url: str, /, **options: Any) -> Any:
        """Send a GET request."""
        return await self._request("GET", url, options)

    async def post(self, url: str, /, **options: Any) -> Any:
        """Send a POST request."""
        return await self._request("POST", url, options)

    async def patch(self, url: str, /, **options: Any) -> Any:
        """Send a PATCH request."""
        return await self._request("PATCH", url, options)

    async def put(self, url: str, /, **options: Any) -> Any:
        """Send a PUT request."""
        return await self._request("PUT", url, options)

    async def aclose(self) -> None:
        """Close the connections; they are opened again by the next request."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()
