"""Reports the measurements of a peer to the process that started it; shared by all peers. Standard library only."""

import json
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable


def say(line: str) -> None:
    """Send a line to the process that has started this one."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def cpu_seconds() -> float:
    """The user and system time of all threads of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Done:
    """Records when each of so many tasks was done, and calls `over()` after the last one."""

    def __init__(self, tasks: int, over: Callable[[], object]) -> None:
        self._tasks = tasks
        self._over = over
        self._stays: list[float] = []
        self._begun = cpu_seconds()
        self._guard = threading.Lock()

    def note(self, submitted_at: float) -> None:
        """Record that a task submitted at that time, in seconds since the epoch, is done now."""
        now = time.time()
        with self._guard:
            self._stays.append(now - submitted_at)
            if len(self._stays) == self._tasks:
                self._say(now)
                self._over()

    def _say(self, last: float) -> None:
        cuts = statistics.quantiles(self._stays, n=100, method="inclusive")
        used = (cpu_seconds() - self._begun) / self._tasks
        say(json.dumps({"last": last, "p50_ms": cuts[49] * 1e3, "p99_ms": cuts[98] * 1e3, "cpu_us": used * 1e6}))


def say_submitted(begun: float, ended: float) -> None:
    """Print the times before the first submission and after the last one, in seconds since the epoch."""
    say(json.dumps({"begun": begun, "ended": ended}))
