"""The main program of a child process: imports the tasks' modules by name and runs the assignments of its worker.

It runs one job at a time in its main thread, or several in a group of threads. It ends with its worker, however the
worker ends: a reading thread exits the process at the end of the stream, in the middle of a task if need be; on Linux
the kernel also kills the child with its worker, even if a task does not let that thread run.
A child is in no terminal's foreground: Ctrl-C does not reach it, and terminal access must not stop it. It ignores
SIGTERM and SIGINT, which a service manager may send to all processes: only its worker handles them. Both signals keep
their usual effect on the processes that a task has started.
"""

import contextvars
import ctypes
import os
import signal
import socket
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any, Final, cast

from .....journal.runtime.forks import at_fork
from .....tasks.definition import Task
from ....limits import CHILD_REPORT_SECONDS_MAX, CHILD_REPORTS_MAX
from ....loading import tasks_at
from ....logs import configure, name_tasks_in_records
from ....signals import ignore_signals
from ...pipeline import execute
from ...reported import Reported
from ...tracing import begin_tracing, flush_spans
from ..permits import Permitted
from ..protocol import Assignment, Frames, Orders, Report, Reports, peak_bytes, report
from .contexts import copies_of
from .reports import Reporter
from .thread_group import Group

_PR_SET_PDEATHSIG: Final = 1


class Child:
    """Runs one job at a time in the main thread: `sock` leads to the worker, `permits` is the pipe of permits."""

    def __init__(self, sock: socket.socket, permits: int, tasks: dict[str, Task[Any, Any]]) -> None:
        self._sock = sock
        self._tasks = tasks
        self._waiting = Permitted[Assignment](permits, lambda assignment: assignment.number)
        self._arrived = threading.Semaphore(0)
        self._ended: deque[Report] = deque()
        self._reporter = Reporter(sock, self._collect)
        self._reported = Reported(self._tell)

    def work(self) -> None:
        """Run assignments for ever; the reading thread exits the process."""
        report(self._sock, Reports([], peak_bytes(), ready=True))
        reporter, reported, ended = self._reporter, self._reported, self._ended
        copied = copies_of(contextvars.copy_context())  # as the tasks' modules have left it
        since = 0.0
        while True:
            try:
                assignment = self._waiting.popleft()
            except IndexError:
                reporter.flush()
                self._arrived.acquire()
                continue
            number, name = assignment.number, assignment.name
            reporter.begin(number, name)
            started = time.monotonic()
            row, prior = assignment.row, assignment.prior_attempts
            ending = execute(name, row, prior, self._tasks, copied(), (reported, number), started)
            now = time.monotonic()
            if not ended:
                since = started
            took = now - started
            told, said = reported.end(number), (ending.name, ending.detail, ending.due)
            ended.append(Report(number, *said, took, ending.large, ending.link, told, ending.plain))
            reporter.end(number, name, now - started)
            if len(ended) >= CHILD_REPORTS_MAX or now - since > CHILD_REPORT_SECONDS_MAX:
                reporter.flush()

    def _tell(self) -> None:
        """Send reports of progress, now or, in a thread of its own, when the job may report again."""
        self._reporter.tell(self._reported)
        if (at := self._reported.next_at) is not None:
            timer = threading.Timer(max(0.0, at - time.monotonic()), self._tell)
            timer.daemon = True
            timer.start()

    def _collect(self) -> list[Report]:
        ended = self._ended
        return [ended.popleft() for _ in range(len(ended))]

    def take(self, orders: Orders) -> None:
        """Take orders of the worker; called in the reading thread."""
        if orders.assignments:
            self._waiting.extend(orders.assignments)
            self._arrived.release()
        else:
            self._reporter.flush()


def main(arguments: list[str]) -> None:
    """Run the child process.

    The arguments are the file descriptors of the socket and of the permits; how many threads run jobs, 0 for the main
    one; if there are threads, whether to abandon those that cannot be stopped, and how often to check timeouts, in ms.
    The first orders name the tasks and their modules.
    """
    _end_with_worker()
    for number in (signal.SIGTTIN, signal.SIGTTOU):  # what a task starts is in the background, too
        signal.signal(number, signal.SIG_IGN)
    ignore_signals()
    sock = socket.socket(fileno=int(arguments[0]))
    # The worker detects the child's end by the end of the stream: no process that a task starts may hold it open.
    sock.set_inheritable(False)
    at_fork(after_in_child=sock.close)
    permits, places = int(arguments[1]), int(arguments[2])
    os.set_inheritable(permits, False)
    frames = Frames(Orders)
    first = _first_orders(sock, frames)
    tasks = tasks_at(first.homes)
    name_tasks_in_records()
    begin_tracing()
    if first.log_level:
        configure(first.log_level)
    for name, url in first.journals.items():
        if name in tasks and tasks[name].broker.opening_url != url:
            tasks[name].broker.bind(url)
    child: Child | Group = Child(sock, permits, tasks)
    if places:
        child = Group(sock, permits, tasks, places, abandon=bool(int(arguments[3])), enforce_ms=int(arguments[4]))
    threading.Thread(target=_read, args=[sock, frames, child], name="journeyman-orders", daemon=True).start()
    child.work()


def _first_orders(sock: socket.socket, frames: Frames) -> Orders:
    """Receive the first orders; the worker sends no others before this child has reported that it is ready."""
    with suppress(OSError):
        while (messages := frames.receive(sock)) is not None:
            for orders in messages:
                return cast("Orders", orders)
    os._exit(0)  # the worker has ended


def _read(sock: socket.socket, frames: Frames, child: Child | Group) -> None:
    try:
        while (messages := frames.receive(sock)) is not None:
            for orders in messages:
                child.take(orders)
    finally:
        flush_spans()
        os._exit(0)  # the worker has ended: no outcome would be read


def _end_with_worker() -> None:
    """On Linux, have the kernel kill this process when the thread that started it ends: that of the worker loop."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
