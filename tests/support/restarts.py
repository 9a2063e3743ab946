"""A service in a process of its own that is killed and started again, always at the same address."""

import os
import signal
import socket
import subprocess
import sys
from types import TracebackType
from typing import Self


class RestartedService:
    """`journeyman serve` at a port that stays the same."""

    def __init__(self, journal: str) -> None:
        self.journal = journal
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and return once it accepts requests."""
        process = self._process = subprocess.Popen(
            [sys.executable, "-m", "journeyman", "serve", "--journal", self.journal, "--port", str(self.port)],
            env={name: value for name, value in os.environ.items() if not name.startswith("JOURNEYMAN_JOURNAL")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("http"), f"expected the service's address, got {line!r}"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its process."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it by SIGKILL."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
