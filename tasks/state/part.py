"""A part of the state of the queue: the events that change it, and its share of a snapshot. Pure.

The fold of the tasks is composed with parts: it applies an event to the part that names it. A part is decided by the
order of one partition alone, as the tasks are, and never looks into another part.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from .decoding import EventContext
from .state import TaskState
from .verdict import Verdict

Key = TypeVar("Key")
Value = TypeVar("Value")
Context = TypeVar("Context", bound=EventContext)


class Part(dict[Key, Value], ABC, Generic[Key, Value, Context]):
    """A part is a mapping of what it holds.

    `events` are the names of its events, whose contexts are decoded as `context`; `name` is the key of its share.

    `on_change()` is called whenever an accepted event has changed it.
    """

    name: ClassVar[str]
    events: ClassVar[tuple[str, ...]]
    context: ClassVar[type[EventContext]]
    on_change: Callable[[], None] | None = None

    @abstractmethod
    def apply(self, name: str, context: Context, partition: int, offset: int, timestamp: float) -> Verdict:
        """Apply one of `events`, and return the verdict on it; `FOREIGN` if it lacks what names its subject."""

    @abstractmethod
    def dump(self) -> Any:
        """Return the state as data that `load` restores."""

    @abstractmethod
    def load(self, state: msgspec.Raw, live: Mapping[str, TaskState]) -> Mapping[Key, Value]:
        """Return the content that was dumped, encoded as MessagePack; `live` are the tasks that it may refer to.

        `msgspec.MsgspecError` or `KeyError` if it is not valid.
        """

    def replace(self, content: Mapping[Key, Value]) -> None:
        """Replace the state; without a call of `on_change`."""
        self.clear()
        self.update(content)

    def changed(self) -> Verdict:
        """Report a change, and return the verdict on the event that has made it."""
        if self.on_change is not None:
            self.on_change()
        return Verdict.ACCEPTED


# Parts of any kinds.
Parts = tuple[Part[Any, Any, Any], ...]
