"""The direct computation every result is checked against: the same facts, found in this process, without any queue."""

import threading
from collections.abc import Sequence
from pathlib import Path

from .source import Facts, examine


class DirectComputation:
    """Examines all `paths` below `root` in a thread, beside the workers; `facts` by path as they become known."""

    def __init__(self, root: Path, paths: Sequence[str]) -> None:
        self.facts: dict[str, Facts] = {}
        self._root = root
        self._paths = paths
        self._over = threading.Event()
        self._stopping = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="direct-computation", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finished(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds; return whether all facts are known. Raises the error of the thread."""
        over = self._over.wait(timeout)
        if self._error is not None:
            raise self._error
        return over

    def stop(self) -> None:
        """Begin no further file, and wait for the one that is being examined; harmless before `start()`."""
        self._stopping = True
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            for path in self._paths:
                if self._stopping:
                    return
                self.facts[path] = examine(self._root / path)
        except BaseException as error:  # `finished` raises it
            self._error = error
        finally:
            self._over.set()
