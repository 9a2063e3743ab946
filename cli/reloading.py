"""`journeyman worker --reload`: run the worker in a child process, and restart it when its packages' files change.

The parent polls the times and sizes of the files. The system's notifications, such as inotify, would come sooner, but
are missing where a container or a virtual machine shares the files of its host.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path
from types import FrameType
from typing import Self

from .limits import RELOAD_END_SECONDS_MAX, RELOAD_LOOK_SECONDS, RELOAD_SETTLED_SECONDS
from .shared.failures import print_line

# The modification time in ns and the size of each file, by its path.
Stamps = dict[str, tuple[int, int]]


def run_reloading(packages: Sequence[str]) -> int:
    """Run this command without `--reload` in a child process, restarted at each change; return its last exit status.

    SIGTERM and SIGINT end it as they end a worker. A worker that ends by itself, since a file does not compile for
    example, is restarted at the next change.
    """
    command = [sys.executable, "-m", "journeyman", *(each for each in sys.argv[1:] if each != "--reload")]
    with _Supervised(command) as worker:
        roots = _roots(packages)
        seen = stamps(roots)
        print_line(f"reloading at changes in {', '.join(map(str, roots)) or 'nothing that could be found'}")
        while not worker.stopping:
            time.sleep(RELOAD_LOOK_SECONDS)
            now = stamps(roots)
            if now == seen:
                continue
            while (later := _after(RELOAD_SETTLED_SECONDS, roots)) != now:
                now = later
            print_line(f"changed: {_named(seen, now)}; the worker begins anew")
            seen = now
            worker.begin_anew()
        return worker.end()


class _Supervised:
    """Runs one worker process after the other, and forwards signals to it."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self.stopping = False

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}
        self._process = subprocess.Popen(self._command)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self.stopping = True
        self._signal(number)

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            if self._process is not None:
                self._process.send_signal(number)

    def begin_anew(self) -> None:
        """End the worker as a signal does, and start the next one."""
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(RELOAD_END_SECONDS_MAX)
            if process.poll() is None:
                process.kill()
                process.wait()
        if not self.stopping:
            self._process = subprocess.Popen(self._command)

    def end(self) -> int:
        """Wait for the worker to end; return its exit status.

        A worker that was still starting is killed by the forwarded signal: it has ended as it was told to, with 0.
        """
        status = self._process.wait() if self._process is not None else 0
        return 0 if self.stopping and -status in self._before else status


def _roots(packages: Sequence[str]) -> list[Path]:
    """The directories or files of the top-level packages, found without importing them."""
    roots: dict[Path, None] = {}
    for top in [package.partition(".")[0] for package in packages]:
        found = PathFinder.find_spec(top, [str(Path.cwd()), *sys.path])
        if found is not None:
            places = list(found.submodule_search_locations or ()) or [found.origin or ""]
            roots |= dict.fromkeys(map(Path, places))
    return list(roots)


def stamps(roots: Sequence[Path]) -> Stamps:
    """The Python files at and below these paths, with their times and sizes."""
    return {path: stamp for root in roots for path, stamp in _below(root)}


def _below(root: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    paths = [root] if root.is_file() else root.rglob("*.py")
    for path in paths:
        with suppress(OSError):  # it has gone meanwhile
            found = path.stat()
            yield str(path), (found.st_mtime_ns, found.st_size)


def _after(seconds: float, roots: Sequence[Path]) -> Stamps:
    time.sleep(seconds)
    return stamps(roots)


def _named(before: Stamps, after: Stamps) -> str:
    """The first file that has changed, come or gone."""
    changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    more = f" and {len(changed) - 1:,} more" if len(changed) > 1 else ""
    return f"{os.path.relpath(changed[0])}{more}" if changed else "nothing any more"
