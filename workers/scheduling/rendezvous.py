"""Whose turn a task is: by rendezvous hashing of task and worker, so that all agree without a word. Pure."""

import zlib
from collections.abc import Sequence

# Between two ids of equal length CRC-32 differs by a constant, whatever the task, which would give three workers shares
# of 1/2, 1/4 and 1/4; the multiplication ends that.
_MULTIPLIER = 0x9E37_79B1
_MASK = 0xFFFF_FFFF


class Rendezvous:
    """The turns of `worker` among `workers`. When one of them leaves only its own tasks move."""

    __slots__ = ("_others", "_seed", "_worker")

    def __init__(self, worker: str, workers: Sequence[str]) -> None:
        self._worker = worker
        self._seed = _seed(worker)
        self._others = [(_seed(other), other) for other in workers if other != worker]

    def place(self, task_id: str) -> int:
        """How many others' turn comes before this worker's; 0 if it is its own."""
        encoded, crc32 = task_id.encode(), zlib.crc32
        own = crc32(encoded, self._seed) * _MULTIPLIER & _MASK
        place = 0
        for seed, other in self._others:
            score = crc32(encoded, seed) * _MULTIPLIER & _MASK
            if score > own or (score == own and other > self._worker):
                place += 1
        return place


def _seed(worker: str) -> int:
    """The checksum of a worker's id and a space: that of a task's id behind it goes on from here."""
    return zlib.crc32(f"{worker} ".encode())
