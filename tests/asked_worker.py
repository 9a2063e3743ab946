"""A real worker process for `asked_tasks`."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def asked_worker(url: str) -> Iterator[None]:
    """A worker of `asked_tasks` on the journal `url`, for as long as the context lasts."""
    command = [sys.executable, "-m", "journeyman", "worker", "asked_tasks", "--journal", url]
    with subprocess.Popen(command, cwd=Path(__file__).parent, stderr=subprocess.DEVNULL) as worker:
        try:
            yield
        finally:
            worker.terminate()
            if worker.wait(60) != 0:
                raise AssertionError(f"the worker has ended with {worker.returncode}")
