"""What the terminal screen costs while nothing happens: the processor time of `journeyman top` in a terminal."""

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
from typing import Final

from journeyman.bench.context import Bench, sqlite_url
from journeyman.bench.figure import Figure, Spread, Target
from journeyman.journal import Journal
from journeyman.tasks import Broker, Message

QUEUES: Final = 10
LINES, COLUMNS = 48, 160
START_SECONDS_MAX: Final = 120.0
_SHOWN: Final = b"alive"  # a word of the overview


def idle(bench: Bench) -> list[Figure]:
    """Show a journal with a long backlog in which nothing happens, and take the processor time of some windows."""
    title = "terminal screen, idle"
    if not Path("/proc/self/stat").exists():
        return [Figure("top", title, "", skipped="the processor time of another process is read from Linux")]
    with bench.file("top") as path:
        url, waiting = sqlite_url(path), bench.size.long_backlog_tasks
        with Journal(url) as journal:
            messages = (Message("bench.noop", queue=f"queue-{number % QUEUES}") for number in range(waiting))
            Broker(journal).submit_all(messages, new=True)
        bench.progress("top: resting")
        begun = time.perf_counter()
        with _screen(url) as screen:
            screen.wait_for(_SHOWN)
            shown_after = time.perf_counter() - begun
            # It has drawn then what its first look at the journal brought.
            screen.rest(bench.size.idle_seconds)
            shares = [screen.share(bench.size.idle_seconds) for _ in range(bench.size.few_rounds)]
    spread = Spread.of(shares)
    bar = Target("share of a core", "at most", 2.0, spread.median, "%")
    facts = {"first_frame_seconds": round(shown_after, 2)}
    return [Figure("top", f"{title}, {waiting:,} waiting tasks", "% of a core", spread, targets=(bar,), facts=facts)]


class _Screen:
    """The process, and the other end of its terminal, which has to be read for it to go on."""

    def __init__(self, process: "subprocess.Popen[bytes]", terminal: int) -> None:
        self._process = process
        self._terminal = terminal

    def wait_for(self, text: bytes) -> None:
        """Read until the screen has shown a text."""
        shown, deadline = b"", time.monotonic() + START_SECONDS_MAX
        while text not in shown:
            assert time.monotonic() < deadline, f"the screen does not show {text!r}"
            shown += self._read(deadline - time.monotonic())

    def rest(self, seconds: float) -> None:
        """Read what the screen draws for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._read(left)

    def share(self, seconds: float) -> float:
        """Return the processor time of that long, as a share of one core in percent."""
        before = self._used()
        self.rest(seconds)
        return (self._used() - before) / seconds * 100

    def _read(self, timeout: float) -> bytes:
        return os.read(self._terminal, 65_536) if select.select([self._terminal], [], [], timeout)[0] else b""

    def _used(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _screen(url: str) -> Iterator[_Screen]:
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    command = [sys.executable, "-m", "journeyman", "top", url]
    environment = {**os.environ, "TERM": "xterm-256color"}
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    )
    os.close(theirs)
    try:
        yield _Screen(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
