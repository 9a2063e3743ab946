"""The executors: threads, coroutines and child processes that run jobs and return outcomes.

Each is imported when it is first used: a child process needs none of those that belong to its parent.
"""

from typing import TYPE_CHECKING

from ...lazy import searching

if TYPE_CHECKING:
    from .base import Executor
    from .children.processes import ProcessExecutor
    from .children.sizing import PoolSize
    from .children.thread_groups import ThreadGroupExecutor
    from .coroutines import CoroutineExecutor
    from .hand_over import HandOver
    from .threads import ThreadExecutor

__all__ = [
    "Executor",
    "ThreadExecutor",
    "CoroutineExecutor",
    "ProcessExecutor",
    "ThreadGroupExecutor",
    "HandOver",
    "PoolSize",
]

__getattr__, __dir__ = searching(
    __name__,
    __all__,
    (
        "base",
        "threads",
        "coroutines",
        "hand_over",
        "children.sizing",
        "children.processes",
        "children.thread_groups",
    ),
)
