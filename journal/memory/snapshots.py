"""Snapshots in memory, beside the memory log's records."""

import threading
from collections.abc import Sequence

from ..snapshots import SnapshotLabel


class MemorySnapshots:
    """The snapshots of a memory store; they last as long as it does."""

    def __init__(self) -> None:
        self._kept: dict[SnapshotLabel, bytes] = {}
        self._lock = threading.Lock()

    async def listed(self) -> Sequence[SnapshotLabel]:
        """See `SnapshotStore.listed`."""
        with self._lock:
            return list(self._kept)

    async def load(self, label: SnapshotLabel) -> bytes | None:
        """See `SnapshotStore.load`."""
        return self._kept.get(label)

    async def save(self, label: SnapshotLabel, sealed: bytes) -> None:
        """See `SnapshotStore.save`."""
        with self._lock:
            self._kept[label] = sealed

    async def remove(self, labels: Sequence[SnapshotLabel]) -> None:
        """See `SnapshotStore.remove`."""
        with self._lock:
            for label in labels:
                self._kept.pop(label, None)
