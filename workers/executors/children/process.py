"""The parent's side of a child process: start it, send it orders, kill it and collect its exit status.

A child leads its own process group. The processes that its tasks start belong to this group, unless they leave it, and
are killed with the child.
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
from ...limits import CHILD_SOCKET_BYTES
from ...logs import configured_level
from ..base import Run
from ..pipeline import Tasks
from .permits import Permits
from .protocol import Assignment, Frames, Orders, Reports, frame


class Journals(NamedTuple):
    """The URLs of the journals to which a child submits: the worker's `own`, and that of each task's broker.

    The worker decides on them once, for all its tasks: a child knows some of them, and perhaps others. A child has
    `own` in its environment, for brokers without a URL that it imports later. Journals in memory are left out: another
    process cannot see them.
    """

    own: str | None
    by_task: dict[str, str]


# The worker's import path is for the child alone: programs that a task starts would inherit PYTHONPATH, and another
# version of Python would fail with it at once.
_PATH_VARIABLE: Final = "JOURNEYMAN_CHILD_PATH"
# No garbage is collected while this package is imported: what that makes stays.
_START: Final = f"""
import gc, os, sys
gc.disable()
sys.path[:] = os.environ.pop({_PATH_VARIABLE!r}).split(os.pathsep)
from {__package__}.inside.main import main
gc.enable()
main(sys.argv[1:])
"""

NO_JOURNALS: Final = Journals(None, {})


class ChildProcess:
    """One child: `runs` are the jobs it was handed, in order; it runs up to `places` of them at a time."""

    def __init__(self, arguments: Sequence[str], places: int, homes: dict[str, str], journals: Journals) -> None:
        self.sock, theirs = socket.socketpair()
        for end in (self.sock, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CHILD_SOCKET_BYTES)
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
        self.sock.setblocking(False)  # a child that does not read must not block the loop
        self._unsent: deque[memoryview] = deque()
        self._waits_to_send = False
        self.places = places
        self.runs: deque[Run] = deque()
        self.frames = Frames(Reports)
        self.ready = False
        self.retiring = False
        self.stalled = False
        self.readiness: asyncio.TimerHandle | None = None  # fires if it is not ready in time
        self.killed_since = ""
        self.late = False
        self.taken = 0
        self._sent_revoked: set[int] = set()
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
        """Send a group the numbers of its revoked jobs, once each. A child with one place is killed instead."""
        numbers = [run.number for run in self.runs if run.revoked and run.number not in self._sent_revoked]
        if numbers and self.places > 1:
            self._sent_revoked.update(numbers)
            self._send(Orders([], revoked=numbers))

    def _send(self, orders: Orders) -> None:
        """Queue orders and send them as the child reads; the end of a child is noticed by reading, not here."""
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
        """Whether its process has ended. This does not reap it: until it is reaped, its pid also names its group."""
        if self.process.returncode is None and hasattr(os, "waitid"):  # macOS has it from Python 3.13 on
            with contextlib.suppress(ChildProcessError):  # reaped by other code of this process
                return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        return self.process.poll() is not None

    @property
    def is_gone(self) -> bool:
        """Whether it has ended and its reports were read: a process that it started may hold the stream open."""
        if not self.has_ended:
            return False
        unread = select.poll()
        unread.register(self.sock, select.POLLIN)
        return not unread.poll(0)

    def kill(self, since: str = "") -> None:
        """Kill it and its process group; `since` is the reason, in words, if its jobs do not give it."""
        if not self.has_ended:
            self.killed_since = self.killed_since or since
        if self.process.returncode is None:  # else its pid may have been reused
            for kill in (os.killpg, os.kill):  # the process itself, too: a task may have moved it to another group
                with contextlib.suppress(OSError):
                    kill(self.process.pid, signal.SIGKILL)

    def collect(self) -> int:
        """Reap its process, which has ended, and return the exit status; kill what it has left in its group."""
        self.kill()
        return self.process.wait()

    def await_end(self, until: float) -> None:
        """Wait for the end of its process, at most until that monotonic time: the system may delay it after a kill."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, until - time.monotonic()))

    def let_go(self) -> None:
        """Close the stream and the permits; shut the socket down, as processes forked from this one may hold it too."""
        self._send_no_more()
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        self._permits.close()

    # -- progress ----------------------------------------------------------------------------------------------------

    def running(self) -> list[Run]:
        """Return the jobs that it runs, and those that it is about to begin.

        If it runs one at a time, all that it has begun before the last have ended, and are about to be reported.
        """
        return self._running(self._permits.left)

    def _running(self, left: int) -> list[Run]:
        held = len(self.runs)
        count = max(held - left, min(self.places, held))
        return [self.runs[index] for index in range(max(0, count - 1) if self.places == 1 else 0, count)]

    def note_begun(self) -> None:
        """Start the clock of the jobs that it has begun since the last call."""
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
        """If it holds too many jobs and made no progress for `seconds`, have it report, and take the rest back."""
        self.note_begun()
        if self.stalled or len(self.runs) <= self.places or time.monotonic() - self._moved_at <= seconds:
            return []
        self.stalled = True
        self._send(Orders([]))
        return self._withdraw(keep=self.places)

    def _withdraw(self, keep: int) -> list[Run]:
        """Take back the jobs that it has not begun, but leave it `keep` jobs, if it has as many."""
        numbers = self._permits.withdraw()
        kept = max(0, keep - (len(self.runs) - len(numbers)))
        if kept:
            self._permits.grant(numbers[:kept])
        taken = [self.runs.pop() for _ in numbers[kept:]]
        taken.reverse()
        return taken

    def is_at_long_work(self, seconds: float) -> bool:
        """Return whether one of its jobs has run for over `seconds`, or it stalled and has reported nothing since."""
        return self.stalled or any(run.seconds > seconds for run in self.running())


def _environment(journal: str | None) -> dict[str, str]:
    """Return a child's environment: this process's own, the import path, and the URL of the worker's journal."""
    said = {} if journal is None else {ENVIRONMENT_VARIABLE: journal}
    return {**os.environ, _PATH_VARIABLE: os.pathsep.join(part for part in sys.path if part), **said}


def journals_of(tasks: Tasks, own: str) -> Journals:
    """Return the journals to which these tasks, whose brokers are bound, submit; `own` is the worker's URL."""
    if _is_in_memory(own):
        return NO_JOURNALS
    named = {name: task.broker.opening_url for name, task in tasks.items()}
    return Journals(own, {name: url for name, url in named.items() if url is not None and not _is_in_memory(url)})


def _is_in_memory(url: str) -> bool:
    return url.startswith("memory:")


def homes_of(tasks: Tasks) -> dict[str, str]:
    """Return the module of each task, for a child to import; `ValidationError` for tasks of `__main__`.

    For a task that a program has passed as an object, it is the module of its function.
    """
    homes: dict[str, str] = {}
    for name, task in tasks.items():
        module = task.home or task.function.__module__
        if module == "__main__":
            raise ValidationError(
                f"{task.name} runs in child processes, which import its module by name, but it is defined in the "
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
