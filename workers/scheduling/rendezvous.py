"""Assign tasks to workers by rendezvous hashing, so that all workers agree without communication. Pure."""

import zlib
from collections.abc import Sequence

# Between two ids of equal length CRC-32 differs by a constant, whatever the task, which would give three workers shares
# of 1/2, 1/4 and 1/4; the multiplication ends that.
_MULTIPLIER = 0x9E37_79B1
_MASK = 0xFFFF_FFFF


class Rendezvous:
    """Ranks `worker` among `workers` for each task. When one of them leaves, only its own tasks move."""

    __slots__ = ("_others", "_seed", "_worker")

    def __init__(self, worker: str, workers: Sequence[str]) -> None:
        self._worker = worker
        self._seed = _seed(worker)
        self._others = [(_seed(other), other) for other in workers if other != worker]

    def place(self, task_id: str) -> int:
        """Return how many workers come before this one for the task; 0 if it is this worker's turn."""
        encoded, crc32 = task_id.encode(), zlib.crc32
        own = crc32(encoded, self._seed) * _MULTIPLIER & _MASK
        place = 0
        for seed, other in self._others:
            score = crc32(encoded, seed) * _MULTIPLIER & _MASK
            if score > own or (score == own and other > self._worker):
                place += 1
        return place


def _seed(worker: str) -> int:
    """Return the checksum of a worker's id and a space, with which the checksum of a task's id starts."""
    return zlib.crc32(f"{worker} ".encode())
