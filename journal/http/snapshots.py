"""The snapshots of views, kept by the log behind a journal service."""

from collections.abc import Sequence
from typing import Final

import msgspec

from ..cursor import Cursor
from ..snapshots import SnapshotLabel
from .connection import Connection
from .wire import Label, label_on_wire, pack

_labels: Final = msgspec.json.Decoder(list[Label])
_GONE: Final = b""


class HttpSnapshots:
    """The snapshots of a log over HTTP."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def listed(self) -> Sequence[SnapshotLabel]:
        """See `SnapshotStore.listed`."""
        found = _labels.decode(await self._connection.asked("GET", "/log/snapshots"))
        return [
            SnapshotLabel(
                each.id,
                each.view,
                each.schema,
                Cursor.parse(each.cursor),
                each.created,
                each.anchor,
                each.size,
                bytes.fromhex(each.digest),
            )
            for each in found
        ]

    async def load(self, label: SnapshotLabel) -> bytes | None:
        """See `SnapshotStore.load`."""
        sealed = await self._connection.asked("GET", f"/log/snapshots/{label.id}")
        return sealed if sealed != _GONE else None

    async def save(self, label: SnapshotLabel, sealed: bytes) -> None:
        """See `SnapshotStore.save`."""
        await self._connection.asked("POST", "/log/snapshots", pack((label_on_wire(label), sealed)))

    async def remove(self, labels: Sequence[SnapshotLabel]) -> None:
        """See `SnapshotStore.remove`."""
        if labels:
            await self._connection.asked("POST", "/log/snapshots/remove", pack([label.id for label in labels]))
