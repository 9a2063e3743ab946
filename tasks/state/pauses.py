"""The paused queues: a part of the state, partition by partition. Pure.

The fold still accepts claims of a paused queue: a worker stops claiming once it has read the event of the pause.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from . import names
from .decoding import EventContext
from .part import Part
from .state import TaskState
from .verdict import Verdict


class QueueContext(EventContext, gc=False):
    """The context of an event about a queue."""

    queue_name: str = ""


class PausedQueue(msgspec.Struct, frozen=True, array_like=True):
    """A queue that is paused in one partition since the event at the offset `since`, at the time `at`."""

    since: int
    at: float


_decoder: Final = msgspec.msgpack.Decoder(dict[int, dict[str, PausedQueue]])


class PausedQueues(Part[int, dict[str, PausedQueue], QueueContext]):
    """The paused queues, by partition and name."""

    name = "pauses"
    events = names.QUEUE_EVENTS
    context = QueueContext

    def apply(self, name: str, context: QueueContext, partition: int, offset: int, timestamp: float) -> Verdict:
        """Pause or resume a queue in the event's partition."""
        queue = context.queue_name
        if not queue:
            return Verdict.FOREIGN
        paused = self.setdefault(partition, {})
        if (name == names.PAUSED) == (queue in paused):
            return Verdict.REFUSED
        if name == names.PAUSED:
            paused[queue] = PausedQueue(offset, timestamp)
        else:
            del paused[queue]
        return self.changed()

    def dump(self) -> Any:
        """See `Part.dump`."""
        return dict(self)

    def load(self, state: msgspec.Raw, live: Mapping[str, TaskState]) -> Mapping[int, dict[str, PausedQueue]]:
        """See `Part.load`."""
        return _decoder.decode(state)
