"""Submissions whose fate is unknown, kept so that the same message handed in again is the same event."""

import threading
from collections.abc import Iterable

from ..journal.errors import AppendInDoubt
from ..journal.event import Draft
from .errors import TaskError
from .limits import SUBMISSIONS_IN_DOUBT_MAX
from .message import Message


class SubmissionInDoubt(AppendInDoubt, TaskError):
    """A submission was sent and its fate is unknown: the caller submits the same message again, which settles it.

    `messages` are those that were handed in and may have landed, `message` the first of them.
    `broker.submit(error.message)` never makes a second task of one that did land.
    """

    def __init__(self, message: str, drafts: tuple[object, ...] = (), messages: tuple[Message, ...] = ()) -> None:
        super().__init__(message, drafts)
        self.messages = messages

    @property
    def message(self) -> Message:
        """The message whose fate is unknown; of several, the first."""
        return self.messages[0]


class Doubts:
    """The drafts of one broker that were numbered and neither acknowledged nor refused, by their tasks' ids."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._drafts: dict[str, tuple[tuple[object, ...], Draft]] = {}

    def draft_of(self, message: Message) -> Draft | None:
        """The draft in doubt of the same message, or of another one of its id that asks for the same; None if none."""
        if self._drafts:
            with self._lock:
                kept = self._drafts.get(message.uuid)
            if kept is not None and kept[0] == _call(message):
                return kept[1]
        return None

    def keep(self, handed_in: Iterable[tuple[Message, Draft]]) -> None:
        """Remember those that were numbered: their append has failed, and may have landed."""
        with self._lock:
            for message, draft in handed_in:
                if draft.seq:
                    self._drafts[message.uuid] = (_call(message), draft)
            while len(self._drafts) > SUBMISSIONS_IN_DOUBT_MAX:
                del self._drafts[next(iter(self._drafts))]

    def forget(self, handed_in: Iterable[tuple[Message, Draft]]) -> None:
        """Forget those whose fate is known."""
        if self._drafts:
            with self._lock:
                for message, _ in handed_in:
                    self._drafts.pop(message.uuid, None)


def _call(message: Message) -> tuple[object, ...]:
    """What a message asks for, whenever it was made."""
    return (message.task_name, message.queue, message.args, message.kwargs, message.priority, message.metadata)
