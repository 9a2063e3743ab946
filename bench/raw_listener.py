"""Notify another process by hand: unix datagrams, one socket for each waiting process or thread."""

import contextlib
import hashlib
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from journeyman.bench import child

END: Final = b"end"
NOTICE_BYTES_MAX: Final = 8


@contextlib.contextmanager
def listener(database: Path, name: str) -> Iterator[socket.socket]:
    """Yield the socket of the waiter of this name; `recv(NOTICE_BYTES_MAX)` blocks until it is notified."""
    address = _address(database, name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(address)
        try:
            yield sock
        finally:
            Path(address).unlink()


@contextlib.contextmanager
def notifier(database: Path, name: str) -> Iterator[Callable[[], None]]:
    """Yield a function that notifies the listener of this name."""
    address = _address(database, name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:

        def notify() -> None:
            sock.sendto(b"!", address)

        yield notify


def notify_at_end(database: Path, name: str) -> None:
    """In a partner: send `END` to that listener when the other side is done."""
    child.wait_for_end()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(END, _address(database, name))


def _address(database: Path, name: str) -> str:
    # Not beside the database: the path of a socket takes a hundred bytes at most.
    digest = hashlib.sha256(os.fsencode(database.absolute())).hexdigest()[:16]
    return f"{tempfile.gettempdir()}/bench-{digest}-{name}"
