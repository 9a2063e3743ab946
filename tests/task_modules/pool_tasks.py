"""A task for processes of its own, beside those of `yard_tasks`."""

import os

import journeyman as jm
from task_modules.daemon_tasks import broker, mark


@jm.task(broker, mechanism="process", queue="processes")
def compute(number: int) -> int:
    """Says which process runs it."""
    mark(f"compute {number} {os.getpid()}")
    return os.getpid()
