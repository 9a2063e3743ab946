"""An executor of child processes, each of which runs one job at a time.

A timeout kills the child, so it stops anything, C code included; another child replaces it.
"""

from collections.abc import Callable

from ..base import Run
from ..pipeline import Tasks
from .pool import ChildPool
from .process import NO_JOURNALS, Journals
from .sizing import PoolSize


class ProcessExecutor(ChildPool):
    """From `floor` up to `size` child processes; see `ChildPool`."""

    def __init__(
        self, size: int, tasks: Tasks, wake: Callable[[], None], *, floor: int = 1, journals: Journals = NO_JOURNALS
    ) -> None:
        super().__init__(PoolSize(1, floor, size), tasks, wake, ["0"], journals)

    def _over(self, run: Run, monotonic: float) -> bool:
        return run.is_over(monotonic) and not run.timed_out
