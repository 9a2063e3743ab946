"""A command in a terminal of its own: what it writes there, the keys it gets, and how it leaves the terminal."""

import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 30.0


class Terminal:
    """A terminal of 80 × 24 with a command in it."""

    def __init__(self, arguments: list[str], environment: dict[str, str], directory: Path) -> None:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self._slave = slave
        self.before = termios.tcgetattr(slave)
        self.written = b""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "journeyman", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=directory,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", "TZ": "UTC", **environment},
            start_new_session=True,
        )

    def press(self, keys: str) -> None:
        """Type these keys."""
        os.write(self._master, keys.encode())

    def shows(self, text: str) -> None:
        """Wait until the command has written this text."""
        self._read(lambda: text.encode() in self.written, f"{text!r} on the terminal")

    def ended(self) -> int:
        """Wait for the end of the command and return its exit status."""
        self._read(lambda: self.process.poll() is not None, "the command to end")
        while select.select([self._master], [], [], 0)[0]:
            self.written += os.read(self._master, 65_536)
        return self.process.returncode

    def attributes(self) -> list[Any]:
        """The terminal's settings now."""
        return termios.tcgetattr(self._slave)

    def _read(self, done: Any, describe: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not done():
            assert time.monotonic() < deadline, f"waited in vain for {describe}; it shows {self.written[-3_000:]!r}"
            if select.select([self._master], [], [], 0.05)[0]:
                self.written += os.read(self._master, 65_536)

    def close(self) -> None:
        """End the command, however it stands, and close the terminal."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._slave)
        os.close(self._master)


@contextmanager
def terminal_with(*arguments: str, directory: Path, **environment: str) -> Iterator[Terminal]:
    """Run `journeyman` with these arguments in a terminal."""
    terminal = Terminal(list(arguments), environment, directory)
    try:
        yield terminal
    finally:
        terminal.close()
