"""The worker process: deciding, claiming, running."""

from typing import TYPE_CHECKING

from ..lazy import searching

if TYPE_CHECKING:
    from .consumer import AsyncConsumer, Consumer
    from .loop.loop import WorkerLoop
    from .pools import ProcessWorkerPool, ThreadWorkerPool, Worker
    from .settings import Settings, WorkerCounts
    from .tools import StopSignalListener, collect_tasks, get_logger, setup_logging, smart_cpu_count
    from .worker import work

__all__ = [
    "WorkerLoop",
    "Settings",
    "WorkerCounts",
    "work",
    "Worker",
    "ThreadWorkerPool",
    "ProcessWorkerPool",
    "Consumer",
    "AsyncConsumer",
    "StopSignalListener",
    "collect_tasks",
    "get_logger",
    "setup_logging",
    "smart_cpu_count",
]

_MODULES = (
    "settings",
    "tools",
    "loop.loop",
    "worker",
    "pools",
    "consumer",
)

if not TYPE_CHECKING:  # a type checker would take every name for a public one
    __getattr__, __dir__ = searching(__name__, __all__, _MODULES)
