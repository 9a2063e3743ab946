"""Starts a Redis server for one run, on loopback, and deletes its data afterwards."""

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import Final

PROGRAMS: Final = ("redis-server", "valkey-server")
START_SECONDS_MAX: Final = 20.0
END_SECONDS_MAX: Final = 10.0
_LOOK_SECONDS: Final = 0.05


class RedisMissing(RuntimeError):
    """There is no Redis server to be started."""


def program() -> str:
    """The server's path; `RedisMissing` if none is installed."""
    for name in PROGRAMS:
        path = shutil.which(name)
        if path is not None:
            return path
    raise RedisMissing(
        f"neither of {', '.join(PROGRAMS)} is installed: the peers on Redis are skipped. "
        "Install one of them, `apt-get install redis-server` for one"
    )


@contextlib.contextmanager
def running(path: str, *, fsync: bool) -> Iterator[int]:
    """A server at a free port of 127.0.0.1; with `fsync` each write is on the disk before it is answered."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    kept = ["--appendonly", "yes", "--appendfsync", "always"] if fsync else ["--appendonly", "no"]
    with tempfile.TemporaryDirectory(prefix="peers-") as directory:
        command = [path, "--port", str(port), "--bind", "127.0.0.1", "--save", "", *kept, "--dir", directory]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            _wait_until_up(process, port)
            yield port
        finally:
            process.terminate()
            process.wait(END_SECONDS_MAX)


def _wait_until_up(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RedisMissing(f"the Redis server has ended at once, with exit status {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0) as connection:
            connection.sendall(b"PING\r\n")
            if connection.recv(16).startswith(b"+PONG"):
                return
        time.sleep(_LOOK_SECONDS)
    raise RedisMissing(f"the Redis server has not answered within {START_SECONDS_MAX:g} s")
