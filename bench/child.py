"""Run parts of a measurement in processes of their own, with fresh memory, CPU time and interpreter.

A part is a function ``module:name`` of this package that takes keyword arguments and returns something JSON can hold.
It runs as ``python -m bench.child module:name ARGUMENTS`` and its answer is the last line it prints. A `partner` is a
part that runs until its standard input is closed, such as the other side of a latency measurement.
"""

import contextlib
import importlib
import logging
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

ROOT: Final = Path(__file__).parent.parent
READY: Final = "ready"
KIB: Final = 1_024
MIB: Final = 1_024 * KIB


class PartFailed(RuntimeError):
    """A part ended with an error; its own message is above, on standard error."""


def run(part: str, **arguments: Any) -> Any:
    """Run a part to its end in a new process and return its answer."""
    process = _start(part, arguments)
    assert process.stdout is not None
    try:
        lines = process.stdout.read().splitlines()
        process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        process.stdout.close()
        if process.stdin is not None:
            process.stdin.close()
    if process.returncode != 0 or not lines:
        raise PartFailed(f"{part} ended with exit status {process.returncode}")
    return orjson.loads(lines[-1])


class Partner:
    """The other side of a measurement, running beside it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.pid = process.pid
        self.killed = False

    def ask(self) -> str:
        """Send it an empty line and return its answer, one line."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self.read_line()

    def read_line(self) -> str:
        """Wait for the next line it prints and return it; `PartFailed` if it has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise PartFailed("the other side of the measurement has ended")
        return line

    def kill(self) -> None:
        """End it as a crash does."""
        self._process.kill()
        self._process.wait()
        self.killed = True


@contextlib.contextmanager
def partner(part: str, **arguments: Any) -> Iterator[Partner]:
    """A part that runs beside the block; it is ready when the block begins and ends after it."""
    process = _start(part, arguments)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        if process.stdout.readline().strip() != READY:
            raise PartFailed(f"{part} did not get ready")
        other = Partner(process)
        yield other
        if other.killed:
            return
        process.stdin.close()  # ends it
        if process.wait(timeout=30) != 0:
            raise PartFailed(f"{part} ended with exit status {process.returncode}")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdin.close()
        process.stdout.close()


def say_ready() -> None:
    """In a partner: let the other side begin."""
    say(READY)


def say(line: str) -> None:
    """In a partner: send a line to the other side."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def wait_for_end() -> None:
    """In a partner: block until the other side is done."""
    sys.stdin.read()


def peak_bytes() -> int:
    """The peak of this process's resident memory so far.

    On Linux from ``/proc``: `getrusage` begins there with the memory of the process that started this one.
    """
    return _status_bytes("VmHWM:")


def resident_bytes(pid: int | None = None) -> int:
    """The resident memory of this process, or another one, now; where the system does not report it, our own peak."""
    return _status_bytes("VmRSS:", pid)


def _status_bytes(field: str, pid: int | None = None) -> int:
    try:
        status = Path(f"/proc/{pid or 'self'}/status").read_text(encoding="ascii")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else KIB)
    return next(int(line.split()[1]) * KIB for line in status.splitlines() if line.startswith(field))


def cpu_seconds(*, children: bool = False) -> float:
    """The user and system time of all threads of this process so far; with `children`, of ended children too."""
    usages = [resource.getrusage(resource.RUSAGE_SELF)]
    if children:
        usages.append(resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _start(part: str, arguments: dict[str, Any]) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "bench.child", part, orjson.dumps(arguments).decode()]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def main(part: str, arguments: str) -> None:
    """Run a part in this process and print its answer."""
    logging.getLogger("journeyman").setLevel(logging.ERROR)  # the warning that one broker keeps one copy is expected
    module, _, name = part.partition(":")
    value = getattr(importlib.import_module(f"bench.{module}"), name)(**orjson.loads(arguments))
    sys.stdout.write(orjson.dumps(value).decode() + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
