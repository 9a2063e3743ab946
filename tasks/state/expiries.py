"""When waiting tasks lapse: a part of the state, for the few that were submitted with a time to live. Pure.

The fold reads no clock. The worker that is about to claim such a task, or the program that asks for it, compares the
time with its own clock, and appends `task.lapsed`.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from .decoding import EventContext
from .part import Part
from .state import TaskState
from .verdict import Verdict

_decoder: Final = msgspec.msgpack.Decoder(dict[str, float])


class Expiries(Part[str, float, EventContext]):
    """The time from which on no worker begins a live task, by the task's id, in seconds since the epoch.

    The fold of the tasks keeps it: a submission adds an entry, the end of the task removes it.
    """

    name = "expiries"
    events = ()
    context = EventContext

    def apply(self, name: str, context: EventContext, partition: int, offset: int, timestamp: float) -> Verdict:
        """See `Part.apply`: it has no events of its own."""
        return Verdict.FOREIGN

    def dump(self) -> Any:
        """See `Part.dump`."""
        return dict(self)

    def load(self, state: msgspec.Raw, live: Mapping[str, TaskState]) -> Mapping[str, float]:
        """See `Part.load`."""
        return _decoder.decode(state)
