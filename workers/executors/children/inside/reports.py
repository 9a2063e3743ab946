"""Send the reports of a child process to its worker, in batches as long as batching delays no report for long.

Several reports in one frame are cheaper. But a job that keeps the GIL lets no other code run: reports that wait when it
begins would arrive after it ends. So reports wait only while all running tasks were brief when they last ran. Before
any other task begins all waiting reports are sent, and while it runs each new one is sent at once.
"""

import socket
import threading
from collections.abc import Callable
from typing import cast

from ....limits import CHILD_BRIEF_SECONDS
from ...pipeline import Job
from ...reported import Reported
from ..protocol import Report, Reports, peak_bytes, report


def number_of(run: object) -> int:
    """Return the number of an assignment, by which the worker knows it: of a run, or a job that stands for one."""
    return run.claim if isinstance(run, Job) else cast("int", run)


class Reporter:
    """Sends what `collect` returns; `begin`, `end` and `flush` may be called in any thread.

    No exception may be raised in a thread from outside while it is in here: half a frame would corrupt the stream.
    """

    def __init__(self, sock: socket.socket, collect: Callable[[], list[Report]]) -> None:
        self.worn = False  # see `Reports`
        self._sock = sock
        self._collect = collect
        self._sending = threading.Lock()
        self._brief: set[str] = set()
        self._lasting: set[int] = set()

    def begin(self, number: int, name: str) -> None:
        """Note that the job is about to begin."""
        if name not in self._brief:
            self._lasting.add(number)  # before `flush`: a job that ends meanwhile sees this, or `flush` sees its report
            self.flush()

    def end(self, number: int, name: str, seconds: float) -> None:
        """Note that the job has ended, after so many seconds, and that `collect` returns its report."""
        if seconds < CHILD_BRIEF_SECONDS:
            self._brief.add(name)
        else:
            self._brief.discard(name)
        self._lasting.discard(number)
        if self._lasting:
            self.flush()

    def tell(self, reported: Reported) -> None:
        """Send what running jobs have reported of their progress, as far as they may report again."""
        with self._sending:
            told = [(number_of(run), fields) for run, fields in reported.take()]
            if told:
                report(self._sock, Reports([], peak_bytes(), worn=self.worn, told=told))

    def flush(self) -> None:
        """Send the reports of all jobs that have ended."""
        with self._sending:
            reports = self._collect()
            if reports:
                report(self._sock, Reports(reports, peak_bytes(), worn=self.worn))
