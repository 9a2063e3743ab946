"""The transports of calls: they send requests to one server by an HTTP library, blocking or asynchronous."""

import asyncio
import inspect
import os
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

from .calls import ServerTraits
from .errors import NetworkError
from .exchange import NO_BODY, Answer, Call, Pause, Request, drive, drive_async
from .library import AsyncKeptConnections, HTTPLibrary, KeptConnections, network_errors, was_sent
from .limits import REQUEST_SECONDS_DEFAULT

T = TypeVar("T")
KEY_VARIABLE: Final = "TOPCHEF_API_KEY"
JSON_HEADER: Final = {"Content-Type": "application/json"}


def shown(url: str) -> str:
    """Return a URL as it may be shown: without a user and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


class _Sender:
    """What both transports share: how a request is put to the library, and its answer read."""

    def __init__(self, url: str, library: Any, api_key: str | None, timeout: float) -> None:
        self.url = url.rstrip("/")
        self.library = library
        self.timeout = timeout
        self.server = ServerTraits()
        key = api_key or os.environ.get(KEY_VARIABLE)
        self._key_header = {"Authorization": f"Bearer {key}"} if key else {}
        self._errors = network_errors(library)
        self._takes_timeout: dict[str, bool] = {}

    def _prepared(self, request: Request) -> tuple[Callable[..., Any], str, dict[str, Any]]:
        """Return the library's function for a request, the URL and the options."""
        name = request.method.lower()
        options: dict[str, Any] = {"headers": dict(request.headers) | self._key_header}
        if request.body is not NO_BODY:
            options["json"] = request.body
        if request.body is not NO_BODY or name == "get":
            options["headers"] |= JSON_HEADER
        send = getattr(self.library, name)
        if self._has_timeout(name, send):
            options["timeout"] = self.timeout + request.wait
        return send, self.url + request.path, options

    def _has_timeout(self, name: str, send: Callable[..., Any]) -> bool:
        if name not in self._takes_timeout:
            try:
                parameters = inspect.signature(send).parameters
            except (TypeError, ValueError):
                self._takes_timeout[name] = False
            else:
                takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
                self._takes_timeout[name] = takes_any or "timeout" in parameters
        return self._takes_timeout[name]

    def _failed(self, request: Request, error: Exception) -> NetworkError:
        said = str(error) or type(error).__name__
        text = f"{request.method} {shown(self.url)}{request.path} has failed: {said}"
        return NetworkError(text, was_sent=was_sent(error))


def _answer(response: Any) -> Answer:
    """Return a library's response as an answer; content that is no JSON is None."""
    try:
        body = response.json()
    except ValueError:
        body = None
    try:
        headers = {str(name).lower(): str(value) for name, value in dict(getattr(response, "headers", {})).items()}
    except (TypeError, ValueError):
        headers = {}
    text = getattr(response, "text", "")
    return Answer(int(response.status_code), body, headers, text if isinstance(text, str) else "")


class Transport(_Sender):
    """Sends requests to the server at `url`, by `library`; it is an HTTP library itself, which adds the API key."""

    def __init__(
        self,
        url: str,
        library: HTTPLibrary | None = None,
        api_key: str | None = None,
        timeout: float = REQUEST_SECONDS_DEFAULT,
    ) -> None:
        super().__init__(url, KeptConnections() if library is None else library, api_key, timeout)

    @classmethod
    def of(cls, url: str, library: "HTTPLibrary | Transport | None") -> "Transport":
        """Return the transport to `url` by a library; a transport that goes there already is used on."""
        if isinstance(library, Transport):
            return library if library.url == url.rstrip("/") else cls(url, library.library)
        return cls(url, library)

    def run(self, call: Call[T], pause: Callable[[float], object] = time.sleep) -> T:
        """Return what a call returns; `pause` waits so many seconds."""

        def perform(step: Request | Pause) -> Answer | None:
            if isinstance(step, Pause):
                pause(step.seconds)
                return None
            return self.send(step)

        return drive(call, perform)

    def send(self, request: Request) -> Answer:
        """Send one request, once; `NetworkError` if there is no answer."""
        send, url, options = self._prepared(request)
        try:
            return _answer(send(url, **options))
        except self._errors as error:
            raise self._failed(request, error) from error

    def close(self) -> None:
        """Close the connections, if the library is ours."""
        if isinstance(self.library, KeptConnections):
            self.library.close()

    def get(self, url: str, /, **options: Any) -> Any:
        """Send a GET request with the key."""
        return self.library.get(url, **self._with_key(options))

    def post(self, url: str, /, **options: Any) -> Any:
        """Send a POST request with the key."""
        return self.library.post(url, **self._with_key(options))

    def patch(self, url: str, /, **options: Any) -> Any:
        """Send a PATCH request with the key."""
        return self.library.patch(url, **self._with_key(options))

    def put(self, url: str, /, **options: Any) -> Any:
        """Send a PUT request with the key."""
        return self.library.put(url, **self._with_key(options))

    def _with_key(self, options: dict[str, Any]) -> dict[str, Any]:
        return options | {"headers": dict(options.get("headers") or {}) | self._key_header}


class AsyncTransport(_Sender):
    """As `Transport`, for coroutines: the functions of its library are awaited."""

    def __init__(
        self,
        url: str,
        library: HTTPLibrary | None = None,
        api_key: str | None = None,
        timeout: float = REQUEST_SECONDS_DEFAULT,
    ) -> None:
        super().__init__(url, AsyncKeptConnections() if library is None else library, api_key, timeout)

    async def run(self, call: Call[T]) -> T:
        """Return what a call returns."""
        return await drive_async(call, self.perform)

    async def perform(self, step: Request | Pause) -> Answer | None:
        """Carry out one step of a call."""
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        send, url, options = self._prepared(step)
        try:
            return _answer(await send(url, **options))
        except self._errors as error:
            raise self._failed(step, error) from error

    async def close(self) -> None:
        """Close the connections, if the library is ours."""
        if isinstance(self.library, AsyncKeptConnections):
            await self.library.aclose()
