"""The offset of the last amendment of each live task that was amended: a part of the state. Pure."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from .decoding import Carried, EventContext
from .part import Part
from .state import TaskState
from .verdict import Verdict

_decoder: Final = msgspec.msgpack.Decoder(dict[str, int])


class Amendments(Part[str, int, EventContext]):
    """The offset of the last accepted `task.amended` of a live task, by the task's id.

    The fold of the tasks keeps it, since `task.amended` is one of their moves: the end of the task removes the entry,
    and the requeue of a dead letter brings it back.
    """

    name = "amendments"
    events = ()
    context = EventContext

    def carry(self, task_id: str, carried: Carried | None) -> None:
        """Add the amendment that the event of a requeue names, if it names one."""
        if carried is not None and carried.amended >= 0:
            self[task_id] = carried.amended

    def apply(self, name: str, context: EventContext, partition: int, offset: int, timestamp: float) -> Verdict:
        """See `Part.apply`: it has no events of its own."""
        return Verdict.FOREIGN

    def dump(self) -> Any:
        """See `Part.dump`."""
        return dict(self)

    def load(self, state: msgspec.Raw, live: Mapping[str, TaskState]) -> Mapping[str, int]:
        """See `Part.load`."""
        return _decoder.decode(state)
