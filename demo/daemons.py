"""Start the worker daemons as separate processes, with the command a user would type, and end all of them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from .interruption import Interruption
from .limits import LEASE_MS, LOG_LINES_SHOWN, THREADS, WORKER_END_SECONDS_MAX

_TASKS: Final = "journeyman.demo.tasks"


class Daemon:
    """One worker process, in a process group of its own; `killed_at` says how far the work was when it was killed."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self.log = log
        self.worker = ""
        self.killed_at: int | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def died(self) -> bool:
        """Whether it has ended by itself."""
        return self.killed_at is None and self.process.poll() is not None

    def wait(self, seconds: float) -> int | None:
        """Wait for its end, at most so many seconds; its exit status, None if it goes on."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def last_words(self) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])


class Daemons:
    """Starts worker daemons on the journal `url` and ends them all on the way out."""

    def __init__(self, url: str, queue: str, logs: Path, interruption: Interruption) -> None:
        self.all: list[Daemon] = []
        self._logs = logs
        self._interruption = interruption
        self._url = url
        self._command = [sys.executable, "-m", "journeyman", "worker", _TASKS, "--journal", url]
        self._command += ["--queues", queue, "--threads", str(THREADS), "--lease-ms", str(LEASE_MS)]

    def typed(self, url: str) -> str:
        """The command as a user types it; `url` is the journal's as it may be shown, without a password."""
        return " ".join(["journeyman", *self._command[3:]]).replace(self._url, url)

    @property
    def running(self) -> list[Daemon]:
        """Those that were not killed."""
        return [daemon for daemon in self.all if daemon.killed_at is None]

    def start(self) -> Daemon:
        """Start one more."""
        log = self._logs / f"worker-{len(self.all) + 1}.log"
        with log.open("wb") as output, self._interruption.deferred():
            process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
            self.all.append(Daemon(process, log))
        return self.all[-1]

    @contextmanager
    def stopped(self, daemon: Daemon) -> Iterator[None]:
        """Stop it by SIGSTOP for the block, unless it is killed there."""
        daemon.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            daemon.process.send_signal(signal.SIGCONT)

    def kill(self, daemon: Daemon, done: int) -> None:
        """Kill it with SIGKILL: it cannot append anything more."""
        daemon.killed_at = done
        daemon.process.kill()
        daemon.process.wait()

    def terminate(self) -> None:
        """Signal all running daemons to drain and leave."""
        for daemon in self.running:
            daemon.process.terminate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all of them, by SIGTERM, then SIGKILL, together with the processes they started."""
        with self._interruption.deferred():
            for daemon in self.all:
                _signal_group(daemon, signal.SIGTERM if error is None else signal.SIGKILL)
            for daemon in self.all:
                if daemon.wait(WORKER_END_SECONDS_MAX) is None:
                    _signal_group(daemon, signal.SIGKILL)
                    daemon.process.wait()


def _signal_group(daemon: Daemon, number: signal.Signals) -> None:
    if daemon.process.poll() is None:
        os.killpg(daemon.pid, number)
