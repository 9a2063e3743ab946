"""Make the ids of the owners of locks, unique over processes, threads and objects, also after a fork."""

import itertools
import os
import socket
import threading
from typing import Final

import uuid_utils

_NONCE_CHARS: Final = 8


class _Process:
    """The identity of this process: a forked child gets one of its own, as does a later process of the same id."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        nonce = uuid_utils.uuid4().hex[:_NONCE_CHARS]
        self.owner = f"lock:{socket.gethostname()}:process:{self.pid}.{nonce}"


class _Numbered(threading.local):
    """The number of a thread: unlike its ident, no later thread of the process gets it again."""

    number: int | None = None


_numbers: Final = itertools.count(1)
_thread: Final = _Numbered()
_process = _Process()


def process_owner() -> str:
    """Return the owner id of this process: its host, its id, and a random part."""
    global _process  # noqa: PLW0603 - one identity for each process, renewed after a fork
    process = _process
    if process.pid != os.getpid():
        process = _process = _Process()
    return process.owner


def thread_owner() -> str:
    """Return the owner id of this thread."""
    if _thread.number is None:
        _thread.number = next(_numbers)
    return f"{process_owner()}:thread:{_thread.number}"


def object_owner() -> str:
    """Return a new owner id, for one object."""
    return f"{process_owner()}:object:{next(_numbers)}"
