"""Groups of threads in child processes: as many threads to a group, and as many groups as there is work for.

A group is added when all are full and jobs wait, up to the ceiling; one that has been idle for a while is let go, down
to the floor.

What a timeout can do: it raises `Overdue` in the thread, at its next step of Python code. It cannot stop a
call that stays in C; after `ABANDON_SECONDS` the task has failed, the group takes nothing new, and is killed, and with
it the call, when its other threads are done. A call in C that does not let go of the interpreter stops the whole group:
then its process is killed after as long again; the other tasks in it are given back and no attempt of theirs is used.

A group that dies by itself has failed all the tasks it ran: which of them it was cannot be known.
"""

from collections.abc import Callable
from typing import Final

from ...limits import ABANDON_SECONDS, ENFORCE_MS_DEFAULT
from ..base import Run
from ..pipeline import Tasks
from .pool import ChildPool
from .process import NO_JOURNALS, Journals
from .sizing import Bounds

# How long after the deadline a group that says nothing is killed, in seconds: first it has its own chance to give up.
KILL_SECONDS: Final = 2 * ABANDON_SECONDS


class ThreadGroupExecutor(ChildPool):
    """Groups of `bounds.places` threads; see `ChildPool`.

    `abandon`: whether a thread that ignores its timeout is given up; otherwise its task ends when it does, and nothing
    is killed.
    """

    def __init__(
        self,
        bounds: Bounds,
        tasks: Tasks,
        wake: Callable[[], None],
        *,
        abandon: bool = True,
        enforce_ms: int = ENFORCE_MS_DEFAULT,
        journals: Journals = NO_JOURNALS,
    ) -> None:
        self._abandon = abandon
        super().__init__(bounds, tasks, wake, [str(bounds.places), f"{abandon:d}", str(enforce_ms)], journals)

    def _over(self, run: Run, monotonic: float) -> bool:
        over = run.is_over(monotonic)  # asked in any case: it notices that the task was revoked
        return over and self._abandon and monotonic >= run.deadline + KILL_SECONDS and not run.timed_out
