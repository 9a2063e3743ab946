"""Runs the application: opens its socket, handles signals, and lets requests finish at the end.

At SIGTERM the server stops accepting connections, streams tell their readers to reconnect, requests have the drain time
to end, and the process exits with 0.
"""

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from litestar import Litestar

from ..journal.async_journal import AsyncJournal
from ..journal.errors import JournalUnavailable
from .app import create_app
from .backend import Backend
from .limits import BACKLOG_CONNECTIONS, KEEP_ALIVE_SECONDS, READER_STALL_SECONDS
from .open_files import allow_connections
from .operation.access_log import access_log
from .protocol import BoundedProtocol
from .settings import Settings


class AddressInUse(JournalUnavailable):
    """The address to listen on is taken, or is not one of this machine's: the operator names another."""


class _Server(uvicorn.Server):
    """A server that ends the streams before it waits for the requests."""

    def __init__(self, config: uvicorn.Config, backend: Backend) -> None:
        super().__init__(config)
        self._backend = backend
        self._loop: asyncio.AbstractEventLoop | None = None
        self.on_ready: Callable[[], None] = lambda: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if not self.should_exit:
            self.on_ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle SIGTERM and SIGINT while the server runs; uvicorn's own way ends the process by the signal."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self.stop()

    def stop(self) -> None:
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._backend.stopping.set)


class ServiceServer:
    """A service that listens on its address once it is made; raises `AddressInUse` if it cannot."""

    def __init__(self, journal: AsyncJournal, settings: Settings) -> None:
        self.app = create_app(journal, settings)
        self._server = _Server(_configuration(self.app, settings), self.app.state.backend)
        self._access_log = settings.access_log
        self._listening = listen(settings.host, settings.port)
        self.address = _address_of(self._listening, tls=settings.certificate is not None)

    async def run(self, on_ready: Callable[[str], None]) -> bool:
        """Serve until SIGTERM, SIGINT or `stop`; return whether the service could be started.

        `on_ready` is called with the address once requests are accepted. A journal that cannot be opened or read raises
        its `JournalError`.
        """
        self._server.on_ready = lambda: on_ready(self.address)
        backend: Backend = self.app.state.backend
        with access_log(self._access_log), self._listening, _unlogged(lambda: backend.failed is not None):
            try:
                await self._server.serve(sockets=[self._listening])
            except SystemExit:  # how uvicorn reports that the application did not start
                if backend.failed is None:
                    raise
        if backend.failed is not None:
            raise backend.failed
        return self._server.started

    def stop(self) -> None:
        """Stop as at SIGTERM; may be called from any thread."""
        self._server.stop()


@contextmanager
def _unlogged(is_known: Callable[[], bool]) -> Iterator[None]:
    """Keep uvicorn from logging the traceback of a failure that is raised to the caller."""

    def passes(_: logging.LogRecord) -> bool:
        return not is_known()

    log = logging.getLogger("uvicorn.error")
    log.addFilter(passes)
    try:
        yield
    finally:
        log.removeFilter(passes)


def _configuration(app: Litestar, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="on",
        loop="asyncio",
        backlog=BACKLOG_CONNECTIONS,
        limit_concurrency=allow_connections(),
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.drain_seconds,
        http=BoundedProtocol,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=list(settings.proxies),
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.private_key,
    )


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at that address; port 0 takes a free one."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG_CONNECTIONS)
        # Connections inherit it. asyncio sets it only for sockets that name their protocol, unlike this one. Without it
        # the second part of an answer waits 40 ms for the acknowledgement of the first.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # a peer that takes nothing keeps no connection, even a closed one
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(READER_STALL_SECONDS * 1_000))
    except OSError as error:
        cause = (
            "It takes a privilege there" if isinstance(error, PermissionError) else "Another process may listen there"
        )
        raise AddressInUse(
            f"cannot listen on {host} port {port}: {error.strerror or error}. {cause}; name another port with --port, "
            "or 0 for a free one"
        ) from None
    return listening


def _address_of(listening: socket.socket, *, tls: bool) -> str:
    """Return the URL under which a listening socket is reached."""
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{shown}:{port}"


logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
