"""The worker process: deciding, claiming, running."""

from .consumer import AsyncConsumer, Consumer
from .loading import collect_tasks
from .loop.loop import WorkerLoop
from .pools import ProcessWorkerPool, ThreadWorkerPool, Worker
from .settings import Settings, Statistics
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
    "collect_tasks",
]
