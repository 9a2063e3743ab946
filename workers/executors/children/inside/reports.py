"""Reports of a child process to its foreman: which wait for company, and for how long.

Several in one frame are cheaper. But a job that does not let go of the interpreter lets no code of ours run either:
what had ended before it would be heard of when it ends. So reports wait only while nothing runs but tasks that were
brief when they ran last. Before any other begins all is reported that has ended, and while it runs each that ends at
once.
"""

import socket
import threading
from collections.abc import Callable
from typing import Final

from ..protocol import Report, Reports, peak_bytes, report

_BRIEF_SECONDS: Final = 0.001


class Reporter:
    """Sends what `collect` returns; `begin`, `end` and `flush` may be called in any thread.

    No exception may be thrown into a thread while it is in here: half a frame would be the end of all understanding.
    """

    def __init__(self, sock: socket.socket, collect: Callable[[], list[Report]]) -> None:
        self.worn = False  # see `Reports`
        self._sock = sock
        self._collect = collect
        self._sending = threading.Lock()
        self._brief: set[str] = set()
        self._lasting: set[int] = set()

    def begin(self, number: int, name: str) -> None:
        """That job is about to begin."""
        if name not in self._brief:
            self._lasting.add(number)  # before the look at what has ended: who ends one now sees this, or we see that
            self.flush()

    def end(self, number: int, name: str, seconds: float) -> None:
        """It has ended, after so many seconds, and can be collected."""
        if seconds < _BRIEF_SECONDS:
            self._brief.add(name)
        else:
            self._brief.discard(name)
        self._lasting.discard(number)
        if self._lasting:
            self.flush()

    def flush(self) -> None:
        """Report all that has ended."""
        with self._sending:
            reports = self._collect()
            if reports:
                report(self._sock, Reports(reports, peak_bytes(), worn=self.worn))
