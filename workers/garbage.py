"""Rare garbage collection while a worker runs, and the program's own settings back when it has ended.

What replaying the history leaves behind stays, and what a task brings has no reference cycles: to scan it all again and
again would take a third of a busy worker's time.
"""

import gc
import threading
from typing import Final

_THRESHOLD: Final = 50_000

_guard: Final = threading.Lock()
_running: Final[list["RareCollection"]] = []  # of this process: the first sets, the last resets
_before: Final[list[tuple[int, int, int]]] = []


class RareCollection:
    """Freezes what is there and collects rarely, from `begin` to `end`."""

    def begin(self) -> None:
        """Set it, unless another worker of this process has."""
        with _guard:
            if not _running and not gc.get_freeze_count():  # what the program has frozen itself stays frozen
                gc.freeze()
                _before.append(gc.get_threshold())
                gc.set_threshold(_THRESHOLD)
            _running.append(self)

    def end(self) -> None:
        """Put back the program's own settings, unless another worker of this process still runs; twice is harmless."""
        with _guard:
            if self in _running:
                _running.remove(self)
            if not _running and _before:
                gc.unfreeze()
                gc.set_threshold(*_before.pop())
