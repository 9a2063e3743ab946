"""The child process of a foreman: imports the tasks' modules by name and runs what it is handed, in its main thread.

It ends with its foreman, however that ends: a thread of its own reads the socket, and the end of the stream is the
end of the process, in the middle of a task if need be. Signals for the whole group (Ctrl-C) are the foreman's to
answer.
"""

import os
import resource
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from ..loading import collect_tasks
from ..task import Task
from .pipeline import execute
from .wire import Assignment, Frames, Orders, Report, Reports, frame

_REPORTS_MAX: Final = 64
_REPORT_SECONDS_MAX: Final = 0.005


class Child:
    """One child: `sock` leads to its foreman."""

    def __init__(self, sock: socket.socket, tasks: dict[str, Task[Any, Any]]) -> None:
        self._sock = sock
        self._tasks = tasks
        self._waiting: deque[Assignment] = deque()
        self._arrived = threading.Semaphore(0)
        self._reports: list[Report] = []
        self._reporting = threading.Lock()

    def work(self) -> None:
        """Run assignments for ever; the reading thread ends the process."""
        threading.Thread(target=self._read, name="journeyman-orders", daemon=True).start()
        self._send(Reports([], [], _peak_bytes(), ready=True))
        since = 0.0
        while True:
            try:
                assignment = self._waiting.popleft()
            except IndexError:
                self._flush()
                self._arrived.acquire()
                continue
            started = time.perf_counter()
            ending = execute(assignment.name, assignment.row, assignment.prior_attempts, self._tasks)
            now = time.perf_counter()
            if not self._reports:
                since = started
            self._reports.append(Report(assignment.number, *ending, now - started))
            if len(self._reports) >= _REPORTS_MAX or now - since > _REPORT_SECONDS_MAX:
                self._flush()

    def _flush(self, given_back: Sequence[int] = ()) -> None:
        """Report what has ended; from the main thread, and from the other while the main one is in a long task."""
        with self._reporting:
            count = len(self._reports)
            if count or given_back:
                self._send(Reports(self._reports[:count], list(given_back), _peak_bytes()))
                del self._reports[:count]

    def _send(self, message: Reports) -> None:
        self._sock.sendall(frame(message))

    def _read(self) -> None:
        frames = Frames(Orders)
        try:
            while (messages := frames.receive(self._sock)) is not None:
                for orders in messages:
                    self._take(orders)
        finally:
            os._exit(0)  # the foreman is gone: nobody waits for what runs here

    def _take(self, orders: Orders) -> None:
        if orders.give_back:
            given_back: list[int] = []
            try:
                while True:
                    given_back.append(self._waiting.pop().number)
            except IndexError:
                self._flush(given_back)
        if orders.assignments:
            self._waiting.extend(orders.assignments)
            self._arrived.release()


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1_024


def main(arguments: list[str]) -> None:
    """Be a child: the arguments are the number of the socket's file and the modules to import."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sock = socket.socket(fileno=int(arguments[0]))
    tasks: dict[str, Task[Any, Any]] = {}
    for module in arguments[1:]:
        tasks |= collect_tasks(module)
    Child(sock, tasks).work()


if __name__ == "__main__":
    main(sys.argv[1:])
