"""An executor of thread groups: child processes that each run a fixed number of threads.

A group is added when all are full and jobs wait, up to the ceiling; a group that has been idle for a while is ended,
down to the floor.

A timeout raises `Overdue` in the thread, at its next step of Python code. It cannot stop a call that stays in C: after
`ABANDON_SECONDS` the task has failed, and the group takes no new jobs; when its other threads are done, the group is
killed, and the call with it. A call in C that keeps the GIL blocks the whole group: `KILL_SECONDS` after the timeout
the group's process is killed, and its other tasks are given back without using up an attempt.

If a group dies by itself, all tasks it ran have failed: which of them was the cause cannot be known.
"""

from collections.abc import Callable

from ...limits import ENFORCE_MS_DEFAULT, KILL_SECONDS
from ..base import Run
from ..pipeline import Tasks
from .pool import ChildPool
from .process import NO_JOURNALS, Journals
from .sizing import PoolSize


class ThreadGroupExecutor(ChildPool):
    """Groups of `pool_size.places` threads; see `ChildPool`.

    `abandon`: whether a thread that ignores its timeout is abandoned; otherwise its task ends when the thread does, and
    no group is killed.
    """

    def __init__(
        self,
        pool_size: PoolSize,
        tasks: Tasks,
        wake: Callable[[], None],
        *,
        abandon: bool = True,
        enforce_ms: int = ENFORCE_MS_DEFAULT,
        journals: Journals = NO_JOURNALS,
    ) -> None:
        self._abandon = abandon
        super().__init__(pool_size, tasks, wake, [str(pool_size.places), f"{abandon:d}", str(enforce_ms)], journals)

    def _over(self, run: Run, monotonic: float) -> bool:
        over = run.is_over(monotonic)  # asked in any case: it notices that the task was revoked
        return over and self._abandon and monotonic >= run.deadline + KILL_SECONDS and not run.timed_out
