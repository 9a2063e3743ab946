"""A child process as its foreman sees it: started, spoken to, ended."""

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
from typing import Final

from ..errors import ValidationError
from .base import Run
from .pipeline import Tasks
from .wire import Frames, Orders, Reports, frame

_SOCKET_BYTES: Final = 1 << 20


class ChildProcess:
    """One child: `runs` are the jobs it was handed, in order; as many of them run as it has places."""

    def __init__(self, arguments: Sequence[str], places: int) -> None:
        self.sock, theirs = socket.socketpair()
        for end in (self.sock, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
        path = os.pathsep.join(part for part in sys.path if part)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.child", str(theirs.fileno()), *arguments],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path},
            )
        self.sock.setblocking(False)  # a child that does not read must not stop the loop
        self._unsent: deque[memoryview] = deque()
        self._waits_to_send = False
        self.places = places
        self.runs: deque[Run] = deque()
        self.frames = Frames(Reports)
        self.ready = False
        self.retiring = False
        self.asked_back = False
        self.taken = 0
        self.first_peak_bytes = 0
        self.idle_since = time.monotonic()

    def send(self, orders: Orders) -> None:
        """Hand orders over, as soon as the child reads them; one that is gone is noticed by reading, not here."""
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
    def is_gone(self) -> bool:
        """Whether it has ended and all it said was read: something that it started may hold its stream open."""
        if self.process.poll() is None:
            return False
        unread = select.poll()
        unread.register(self.sock, select.POLLIN)
        return not unread.poll(0)

    def let_go(self) -> None:
        """Close the stream, for those as well who were forked from us and hold it too."""
        self._send_no_more()
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def ask_back(self) -> None:
        """Ask for what it has not begun, if there is anything and it was not asked yet."""
        if len(self.runs) > self.places and not self.asked_back:
            self.asked_back = True
            self.send(Orders([], give_back=True))

    def begun(self) -> list[Run]:
        """The jobs that it runs, as far as can be known from here."""
        return [self.runs[index] for index in range(min(self.places, len(self.runs)))]

    def is_at_long_work(self, seconds: float) -> bool:
        """Whether one of its jobs has lasted for longer than that, or it was asked for jobs and has not answered."""
        return self.asked_back or (bool(self.runs) and self.runs[0].seconds > seconds)

    def note_begun(self) -> None:
        """Count the time of those that have come to a place only now."""
        runs = self.runs
        for index in range(min(self.places, len(runs))):
            if not runs[index].begun:
                runs[index].restart()

    @property
    def stalled_seconds(self) -> float:
        """For how long all its places have been at the same jobs while others wait behind them; 0 if none do."""
        return self.runs[self.places - 1].seconds if len(self.runs) > self.places else 0.0


def modules_of(tasks: Tasks) -> list[str]:
    """The modules a child has to import; `ValidationError` for tasks that no other process can import."""
    modules: set[str] = set()
    for task in tasks.values():
        module = task.function.__module__
        if module == "__main__":
            raise ValidationError(
                f"{task.name} runs in processes of its own, which import its module by name; it is defined in the "
                "script that was started. Move it into a module."
            )
        modules.add(module)
    return sorted(modules)


def ending(code: int) -> str:
    """An exit status in words."""
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
