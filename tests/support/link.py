"""A link on loopback: it passes bytes to a server, until it is cut or falls silent, as networks do."""

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit, urlunsplit

_CHUNK_BYTES: Final = 64 * 1024


class Link:
    """Passes connections on to the server of `address`; `self.address` is the same URL by way of the link.

    - `cut()`: connections are reset, and new ones are refused.
    - `fall_silent()`: connections stay, and new ones are accepted, but no byte passes any more.
    - `mend()`: connections of before are reset, and new ones pass again.
    """

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._server = (parts.hostname or "", parts.port or 0)
        self._guard = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._silent = threading.Event()
        self._listener = self._listen(0)
        self._port = self._listener.getsockname()[1]
        self.address = urlunsplit(parts._replace(netloc=f"127.0.0.1:{self._port}"))

    def cut(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._reset()

    def fall_silent(self) -> None:
        self._silent.set()

    def mend(self) -> None:
        self._silent.clear()
        self._reset()
        if self._listener.fileno() < 0:
            self._listener = self._listen(self._port)

    def close(self) -> None:
        if self._listener.fileno() >= 0:
            self.cut()

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(self._server)
                with self._guard:
                    self._pairs.append((near, far))
                threading.Thread(target=self._pass, args=(near, far), daemon=True).start()

    def _pass(self, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), selectors.DefaultSelector() as selector, near, far:
            selector.register(near, selectors.EVENT_READ, far)
            selector.register(far, selectors.EVENT_READ, near)
            while True:
                for key, _ in selector.select():
                    source = key.fileobj
                    assert isinstance(source, socket.socket)
                    chunk = source.recv(_CHUNK_BYTES)
                    if not chunk:
                        return
                    if not self._silent.is_set():
                        key.data.sendall(chunk)

    def _reset(self) -> None:
        with self._guard:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for each in pair:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)


@contextmanager
def link_to(address: str) -> Iterator[Link]:
    """A link to the server of `address`."""
    link = Link(address)
    try:
        yield link
    finally:
        link.close()
