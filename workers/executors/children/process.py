"""A child process as its foreman sees it: started, spoken to, ended.

It leads a process group of its own. What its tasks start belongs to that, unless it leaves it, and is killed with it.
"""

import asyncio
import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from ....journal.url import ENVIRONMENT_VARIABLE
from ....tasks.errors import ValidationError
from ...logs import configured_level
from ..base import Run
from ..pipeline import Tasks
from .permits import Permits
from .protocol import Assignment, Frames, Orders, Reports, frame

_SOCKET_BYTES: Final = 1 << 20


class Journals(NamedTuple):
    """Where what is submitted in a child goes, by URL: to the worker's `own`, and by the broker of each task.

    The worker decides on it once, for all its tasks: a child knows some of them, and perhaps others. It has `own` in
    its environment, for brokers that it meets later and that name none. Journals in memory nobody else would see.
    """

    own: str | None
    by_task: dict[str, str]


# The worker's import path is for the child alone: as PYTHONPATH every program that a task starts would have it as well,
# and another version of Python dies of it at once.
_PATH_VARIABLE: Final = "JOURNEYMAN_CHILD_PATH"
_START: Final = f"""
import os, sys
sys.path[:] = os.environ.pop({_PATH_VARIABLE!r}).split(os.pathsep)
from {__package__}.inside.main import main
main(sys.argv[1:])
"""

NO_JOURNALS: Final = Journals(None, {})


class ChildProcess:
    """One child: `runs` are the jobs it was handed, in order; as many of them run as it has places."""

    def __init__(self, arguments: Sequence[str], places: int, homes: dict[str, str], journals: Journals) -> None:
        self.sock, theirs = socket.socketpair()
        for end in (self.sock, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
        self._permits = Permits()
        files = theirs.fileno(), self._permits.theirs
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _START, *map(str, files), *arguments],
                pass_fds=files,
                stdin=subprocess.DEVNULL,
                process_group=0,
                env=_environment(journals.own),
            )
        self.sock.setblocking(False)  # a child that does not read must not stop the loop
        self._unsent: deque[memoryview] = deque()
        self._waits_to_send = False
        self.places = places
        self.runs: deque[Run] = deque()
        self.frames = Frames(Reports)
        self.ready = False
        self.retiring = False
        self.stalled = False
        self.readiness: asyncio.TimerHandle | None = None  # the look whether it is ready in time
        self.killed_since = ""
        self.late = False
        self.taken = 0
        self._told_revoked: set[int] = set()
        self._seen = 0, 0  # how many jobs were not begun, of how many
        self._moved_at = 0.0
        self.first_peak_bytes = 0
        self.idle_since = time.monotonic()
        self._send(Orders([], homes, journals.by_task, configured_level() or ""))

    def hand(self, runs: Sequence[Run]) -> None:
        """Hand over jobs, to be begun in this order after those that it has."""
        self.runs.extend(runs)
        self.taken += len(runs)
        self._permits.grant([run.number for run in runs])
        self.note_begun()
        jobs = [(run.number, run.job) for run in runs]
        self._send(Orders([Assignment(number, job.state.name, job.row, job.prior_attempts) for number, job in jobs]))

    def tell_revoked(self) -> None:
        """Tell a group which of its jobs are to be stopped; once for each. A child with one place is killed instead."""
        numbers = [run.number for run in self.runs if run.revoked and run.number not in self._told_revoked]
        if numbers and self.places > 1:
            self._told_revoked.update(numbers)
            self._send(Orders([], revoked=numbers))

    def _send(self, orders: Orders) -> None:
        """Send orders, as soon as the child reads them; one that is gone is noticed by reading, not here."""
        self._unsent.append(memoryview(frame(orders)))
        self._push()

    def _push(self) -> None:
        try:
            while self._unsent:
                first = self._unsent[0]
                sent = self.sock.send(first)
                if sent < len(first):
                    self._unsent[0] = first[sent:]
                else:
                    self._unsent.popleft()
        except BlockingIOError:
            if not self._waits_to_send:
                self._waits_to_send = True
                asyncio.get_running_loop().add_writer(self.sock, self._push)
            return
        except OSError:
            self._unsent.clear()
        self._send_no_more()

    def _send_no_more(self) -> None:
        if self._waits_to_send:
            self._waits_to_send = False
            asyncio.get_running_loop().remove_writer(self.sock)

    @property
    def has_ended(self) -> bool:
        """Whether its process has ended. It is not collected by this: until then its number is that of its group."""
        if self.process.returncode is None and hasattr(os, "waitid"):  # macOS has it from Python 3.13 on
            with contextlib.suppress(ChildProcessError):  # somebody else has collected it
                return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        return self.process.poll() is not None

    @property
    def is_gone(self) -> bool:
        """Whether it has ended and all it said was read: something that it started may hold its stream open."""
        if not self.has_ended:
            return False
        unread = select.poll()
        unread.register(self.sock, select.POLLIN)
        return not unread.poll(0)

    def kill(self, since: str = "") -> None:
        """Kill it, and its group; `since` is what it did, in words, if that is not known from its jobs."""
        if not self.has_ended:
            self.killed_since = self.killed_since or since
        if self.process.returncode is None:  # else its number may be another's by now
            for kill in (os.killpg, os.kill):  # by itself, too: a task may have moved it to another group
                with contextlib.suppress(OSError):
                    kill(self.process.pid, signal.SIGKILL)

    def collect(self) -> int:
        """The exit status of its process, which has ended; what that has left in its group is killed."""
        self.kill()
        return self.process.wait()

    def await_end(self, until: float) -> None:
        """Wait for the end of its process, at most until that monotonic time: the system may hold up a killed one."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, until - time.monotonic()))

    def let_go(self) -> None:
        """Close the stream, for those as well who were forked from us and hold it too."""
        self._send_no_more()
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        self._permits.close()

    # -- what it has begun -------------------------------------------------------------------------------------------

    def running(self) -> list[Run]:
        """The jobs that it is at, and those that it is about to begin.

        Where it runs one at a time, all that it has begun before the last have ended, and are about to be reported.
        """
        return self._running(self._permits.left)

    def _running(self, left: int) -> list[Run]:
        held = len(self.runs)
        count = max(held - left, min(self.places, held))
        return [self.runs[index] for index in range(max(0, count - 1) if self.places == 1 else 0, count)]

    def note_begun(self) -> None:
        """Count the time of those that have come to a place only now."""
        left = self._permits.left
        if (left, len(self.runs)) != self._seen:
            self._seen, self._moved_at = (left, len(self.runs)), time.monotonic()
        for run in self._running(left):
            if not run.begun:
                run.restart()

    def withdraw(self) -> list[Run]:
        """Take back what it has not begun, in order."""
        return self._withdraw(keep=0)

    def relieve(self, seconds: float) -> list[Run]:
        """If it has more than it can run, and got no further for so long: have it report, and take back the rest."""
        self.note_begun()
        if self.stalled or len(self.runs) <= self.places or time.monotonic() - self._moved_at <= seconds:
            return []
        self.stalled = True
        self._send(Orders([]))
        return self._withdraw(keep=self.places)

    def _withdraw(self, keep: int) -> list[Run]:
        """Take back what it has not begun, but leave it with `keep` jobs, if it has as many."""
        numbers = self._permits.withdraw()
        kept = max(0, keep - (len(self.runs) - len(numbers)))
        if kept:
            self._permits.grant(numbers[:kept])
        taken = [self.runs.pop() for _ in numbers[kept:]]
        taken.reverse()
        return taken

    def is_at_long_work(self, seconds: float) -> bool:
        """Whether one of its jobs has lasted for longer than that, or it has stalled and reported nothing since."""
        return self.stalled or any(run.seconds > seconds for run in self.running())


def _environment(journal: str | None) -> dict[str, str]:
    """A child's environment: where it finds the tasks' modules, and which journal is its worker's."""
    said = {} if journal is None else {ENVIRONMENT_VARIABLE: journal}
    return {**os.environ, _PATH_VARIABLE: os.pathsep.join(part for part in sys.path if part), **said}


def journals_of(tasks: Tasks, own: str) -> Journals:
    """Where the worker of these tasks, whose brokers are bound, has what they submit go; `own` is its journal's URL."""
    if _is_in_memory(own):
        return NO_JOURNALS
    named = {name: task.broker.opening_url for name, task in tasks.items()}
    return Journals(own, {name: url for name, url in named.items() if url is not None and not _is_in_memory(url)})


def _is_in_memory(url: str) -> bool:
    return url.startswith("memory:")


def homes_of(tasks: Tasks) -> dict[str, str]:
    """From which module a child has to import each task; `ValidationError` for those that no other process can import.

    A task that was given by a program, and not found in a package, is taken to be where its function says.
    """
    homes: dict[str, str] = {}
    for name, task in tasks.items():
        module = task.home or task.function.__module__
        if module == "__main__":
            raise ValidationError(
                f"{task.name} runs in processes of its own, which import its module by name; it is defined in the "
                "script that was started. Move it into a module."
            )
        homes[name] = module
    return homes


def ending(code: int) -> str:
    """An exit status in words."""
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
