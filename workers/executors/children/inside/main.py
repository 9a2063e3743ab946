"""The child process of a foreman: imports the tasks' modules by name and runs what it is handed.

It runs one job at a time in its main thread, or several in a group of threads. It ends with its foreman, however that
ends: a thread of its own reads the socket, and the end of the stream is the end of the process, in the middle of a task
if need be; where the system can, it kills the child with its foreman even if a task does not let that thread run.
A child is in no terminal's foreground: Ctrl-C does not reach it, and what it does there must not stop it. What signals
come to it all the same, from whoever signals all processes of a service, are the foreman's to answer, and have their
usual effect on what a task has started.
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

from .....tasks.task import Task
from ....loading import tasks_at
from ....logs import configure, name_tasks_in_records
from ....signals import ignore_signals
from ...pipeline import copied, execute
from ..permits import Permitted
from ..protocol import Assignment, Frames, Orders, Report, Reports, peak_bytes, report
from .reports import Reporter
from .thread_group import Group

_REPORTS_MAX: Final = 64
_REPORT_SECONDS_MAX: Final = 0.005
_PR_SET_PDEATHSIG: Final = 1


class Child:
    """One child: `sock` leads to its foreman, from `permits` comes what may be begun."""

    def __init__(self, sock: socket.socket, permits: int, tasks: dict[str, Task[Any, Any]]) -> None:
        self._sock = sock
        self._tasks = tasks
        self._waiting = Permitted[Assignment](permits, lambda assignment: assignment.number)
        self._arrived = threading.Semaphore(0)
        self._ended: deque[Report] = deque()
        self._reporter = Reporter(sock, self._collect)

    def work(self) -> None:
        """Run assignments for ever; the reading thread ends the process."""
        report(self._sock, Reports([], peak_bytes(), ready=True))
        reporter, ended = self._reporter, self._ended
        imported = contextvars.copy_context()  # as the tasks' modules have left it
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
            started = time.perf_counter()
            ending = execute(name, assignment.row, assignment.prior_attempts, self._tasks, copied(imported))
            now = time.perf_counter()
            if not ended:
                since = started
            ended.append(Report(number, ending.name, ending.detail, ending.due, now - started))
            reporter.end(number, name, now - started)
            if len(ended) >= _REPORTS_MAX or now - since > _REPORT_SECONDS_MAX:
                reporter.flush()

    def _collect(self) -> list[Report]:
        ended = self._ended
        return [ended.popleft() for _ in range(len(ended))]

    def take(self, orders: Orders) -> None:
        """Orders of the foreman; called by whoever reads them."""
        if orders.assignments:
            self._waiting.extend(orders.assignments)
            self._arrived.release()
        else:
            self._reporter.flush()


def main(arguments: list[str]) -> None:
    """Be a child.

    The arguments are the numbers of the socket's file and of the permits'; how many threads run jobs, 0 for the main
    one; if there are threads, whether to abandon those that cannot be stopped, and how often to look at timeouts, in
    ms. Which tasks, and from where, is in the first orders.
    """
    _end_with_worker()
    for number in (signal.SIGTTIN, signal.SIGTTOU):  # what a task starts is in the background, too
        signal.signal(number, signal.SIG_IGN)
    ignore_signals()
    sock = socket.socket(fileno=int(arguments[0]))
    # The end of the stream tells the foreman that we are gone: nothing that a task starts may hold our end open.
    sock.set_inheritable(False)
    os.register_at_fork(after_in_child=sock.close)
    permits, places = int(arguments[1]), int(arguments[2])
    os.set_inheritable(permits, False)
    frames = Frames(Orders)
    first = _first_orders(sock, frames)
    tasks = tasks_at(first.homes)
    name_tasks_in_records()
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
    """No others come before this child has said that it is ready."""
    with suppress(OSError):
        while (messages := frames.receive(sock)) is not None:
            for orders in messages:
                return cast("Orders", orders)
    os._exit(0)  # the foreman is gone


def _read(sock: socket.socket, frames: Frames, child: Child | Group) -> None:
    try:
        while (messages := frames.receive(sock)) is not None:
            for orders in messages:
                child.take(orders)
    finally:
        os._exit(0)  # the foreman is gone: nobody waits for what runs here


def _end_with_worker() -> None:
    """On Linux: be killed when the thread that started us ends, which is the one in which the foreman works."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
