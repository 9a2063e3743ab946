"""The executors: threads, coroutines and child processes that run jobs and return outcomes."""

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
