"""Collect garbage rarely while a worker runs, and restore the program's own settings when it has ended.

The objects that replaying the history creates stay alive, and those of a task form no reference cycles: scanning them
all again and again would take a third of a busy worker's time.
"""

import gc
import threading
from typing import Final

from .limits import GARBAGE_ALLOCATIONS

_guard: Final = threading.Lock()
_running: Final[list["RareCollection"]] = []  # of this process: the first one changes the settings, the last restores
_before: Final[list[tuple[int, int, int]]] = []


class RareCollection:
    """Freezes the objects that exist at `begin`, and raises the threshold of the collector until `end`."""

    def begin(self) -> None:
        """Change the settings, unless another worker of this process has."""
        with _guard:
            if not _running and not gc.get_freeze_count():  # objects that the program has frozen itself stay frozen
                gc.freeze()
                _before.append(gc.get_threshold())
                gc.set_threshold(GARBAGE_ALLOCATIONS)
            _running.append(self)

    def end(self) -> None:
        """Restore the program's own settings, unless another worker of this process still runs. Idempotent."""
        with _guard:
            if self in _running:
                _running.remove(self)
            if not _running and _before:
                gc.unfreeze()
                gc.set_threshold(*_before.pop())
