"""The protocol between a worker and its child processes: MessagePack frames on a socket pair."""

import os
import resource
import socket
import struct
import sys
from typing import Any, Final

import msgspec

from ...limits import CHILD_READ_BYTES

_LENGTH: Final = struct.Struct("!I")


class Assignment(msgspec.Struct, array_like=True, gc=False):
    """A task to run: the submission in `row`, after so many attempts."""

    number: int
    name: str
    row: bytes
    prior_attempts: int


class Report(msgspec.Struct, array_like=True, gc=False):
    """How the assignment of that number ended, and how long it took, in seconds; the others as in `Outcome`.

    `told` are its last reports of progress, unless they were sent before.
    """

    number: int
    name: str
    detail: bytes
    due: float
    seconds: float
    large: bytes = b""
    link: bytes = b""
    told: dict[str, bytes] = {}
    plain: bool = False


class Orders(msgspec.Struct, array_like=True):
    """From the worker: the jobs to run next, in order, once there is a permit; without any, report what has ended.

    `revoked` are the numbers of assignments to be stopped.

    The first orders also hold `homes`, the module of each task, `journals`, the journal URL of each task's broker, and
    `log_level`, the lowest level to log; empty if the tasks' modules configure logging.
    """

    assignments: list[Assignment]
    homes: dict[str, str] = {}
    journals: dict[str, str] = {}
    log_level: str = ""
    revoked: list[int] = []


class Reports(msgspec.Struct, array_like=True):
    """From the child: the assignments that have ended, and its peak memory, in bytes.

    `worn`: it holds a thread that cannot be stopped, and should be replaced. `told` are the latest reports of progress
    of assignments that run, by number.
    """

    reports: list[Report]
    peak_bytes: int
    ready: bool = False
    worn: bool = False
    told: list[tuple[int, dict[str, bytes]]] = []


_encoder: Final = msgspec.msgpack.Encoder()


def frame(message: Orders | Reports) -> bytes:
    """Encode a message with its length in front."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


def report(sock: socket.socket, reports: Reports) -> None:
    """Send reports to the worker; if that has ended, end this child too."""
    try:
        sock.sendall(frame(reports))
    except OSError:
        os._exit(0)


def peak_bytes() -> int:
    """Return the peak memory of this process, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1_024


class Frames:
    """Decodes a stream into messages, in whatever pieces it arrives."""

    def __init__(self, kind: type[Any]) -> None:
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._buffer = bytearray()

    def receive(self, sock: socket.socket) -> list[Any] | None:
        """The messages that are complete after one read; None at the end of the stream."""
        piece = sock.recv(CHILD_READ_BYTES)
        if not piece:
            return None
        self._buffer += piece
        messages: list[Any] = []
        while len(self._buffer) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._buffer)[0]
            if len(self._buffer) < end:
                break
            messages.append(self._decoder.decode(bytes(self._buffer[_LENGTH.size : end])))
            del self._buffer[:end]
        return messages
