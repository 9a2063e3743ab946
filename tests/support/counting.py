"""A small view with snapshots, which counts the events that it applied and those that a snapshot spared it."""

from typing import Any

import msgspec
from journeyman.consumers.views.view import View
from journeyman.journal.event import Event


class Counting(View):
    """How many events of each name; `told` is how many it was told itself."""

    snapshot_name = "counting"

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.told = 0

    def apply(self, event: Event) -> Any:
        self.told += 1
        self.counts[event.name] = self.counts.get(event.name, 0) + 1

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(self.counts)

    def restore(self, state: bytes) -> None:
        self.counts = msgspec.msgpack.decode(state, type=dict[str, int])
