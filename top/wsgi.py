"""Record the requests of a WSGI application."""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Final

from .http_task import HTTPTask
from .journal_tracker import JournalTracker
from .recording import Exchange, Headers, recorder_of

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

IGNORED: Final = ("/tracker",)
_PREFIX: Final = "HTTP_"


class TrackWSGI:
    """Records each request from its arrival to the end of its response; see `TrackASGI`.

    `application = TrackWSGI(application, "sqlite:///shop.db")` is all it takes.
    """

    def __init__(self, app: App, tracker: JournalTracker[HTTPTask] | str, ignore: Collection[str] = IGNORED) -> None:
        self._app = app
        self._recorder, _ = recorder_of(tracker)
        self._ignored = frozenset(ignore)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on, and record it."""
        if environ.get("PATH_INFO") in self._ignored:
            return self._app(environ, start_response)
        exchange = Exchange(self._recorder, lambda: _request(environ))

        def started(status: str, headers: Headers, *rest: Any) -> Any:
            code = status.partition(" ")[0]
            exchange.status = int(code) if code.isdigit() else None
            exchange.headers = lambda: headers
            return start_response(status, headers, *rest)

        try:
            return _Body(self._app(environ, started), exchange)
        except BaseException:
            exchange.end()
            raise


class _Body:
    """The body of a response; its end, or its closing, ends the record."""

    def __init__(self, body: Iterable[bytes], exchange: Exchange) -> None:
        self._body = body
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        yield from self._body
        self._exchange.is_complete = True

    def close(self) -> None:
        """Close the application's own body; the server calls it, however the response ends."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._exchange.end()


def _request(environ: Environ) -> dict[str, Any]:
    headers = [
        (name.removeprefix(_PREFIX).replace("_", "-"), str(value))
        for name, value in list(environ.items())
        if name.startswith(_PREFIX)
    ]
    return {
        "protocol": environ.get("wsgi.url_scheme", "http"),
        "method": environ.get("REQUEST_METHOD", "GET"),
        "path": environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""),
        "query": environ.get("QUERY_STRING", ""),
        "client": environ.get("REMOTE_ADDR"),
        "headers": headers,
    }
