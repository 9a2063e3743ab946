"""The worker process: deciding, claiming, running."""

from .consumer import AsyncConsumer, Consumer
from .loop.loop import WorkerLoop
from .pools import ProcessWorkerPool, ThreadWorkerPool, Worker
from .settings import Settings, Statistics
from .tools import StopSignalListener, collect_tasks, get_logger, setup_logging, smart_cpu_count
from .worker import work

__all__ = [
    "WorkerLoop",
    "Settings",
    "Statistics",
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
