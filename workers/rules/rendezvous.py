"""Whose turn a task is: by rendezvous hashing of task and worker, so that all agree without a word. Pure."""

import zlib
from collections.abc import Sequence


def rank(task_id: str, worker: str, workers: Sequence[str]) -> int:
    """How many workers' turn comes before this one's: by rendezvous hashing, so that everybody agrees without a word.

    0 for the worker whose turn it is. When a worker leaves only its own tasks move.
    """
    own = _score(task_id, worker)
    return sum((_score(task_id, other), other) > (own, worker) for other in workers)


def _score(task_id: str, worker: str) -> int:
    # Between two ids of equal length CRC-32 differs by a constant, whatever the task, which would give three workers
    # shares of 1/2, 1/4 and 1/4; the multiplication ends that.
    return zlib.crc32(f"{worker} {task_id}".encode()) * 0x9E37_79B1 & 0xFFFF_FFFF
