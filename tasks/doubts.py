"""Keep submissions in doubt, so that submitting the same message again repeats the same event."""

import threading
from collections.abc import Iterable

from ..journal.errors import AppendInDoubt
from ..journal.event import Draft
from .errors import TaskError
from .limits import SUBMISSIONS_IN_DOUBT_MAX
from .message import Message


class SubmissionInDoubt(AppendInDoubt, TaskError):
    """A submission was sent and may have landed: the caller submits the same message again, which settles it.

    `messages` are those that may have landed, `message` the first of them. `broker.submit(error.message)` is
    idempotent: it never makes a second task of a message that did land.
    """

    def __init__(self, message: str, drafts: tuple[object, ...] = (), messages: tuple[Message, ...] = ()) -> None:
        super().__init__(message, drafts)
        self.messages = messages

    @property
    def message(self) -> Message:
        """The message in doubt; of several, the first."""
        return self.messages[0]


class Doubts:
    """The drafts of one broker that were numbered but neither acknowledged nor refused, by task id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._drafts: dict[str, tuple[tuple[object, ...], Draft]] = {}

    def draft_of(self, message: Message) -> Draft | None:
        """Return the draft in doubt of this message, or of an equal one with its id; None if there is none."""
        if self._drafts:
            with self._lock:
                kept = self._drafts.get(message.uuid)
            if kept is not None and kept[0] == _call(message):
                return kept[1]
        return None

    def keep(self, handed_in: Iterable[tuple[Message, Draft]]) -> None:
        """Keep the drafts that were numbered: their append has failed, and may have landed all the same."""
        with self._lock:
            for message, draft in handed_in:
                if draft.seq:
                    self._drafts[message.uuid] = (_call(message), draft)
            while len(self._drafts) > SUBMISSIONS_IN_DOUBT_MAX:
                del self._drafts[next(iter(self._drafts))]

    def forget(self, handed_in: Iterable[tuple[Message, Draft]]) -> None:
        """Drop the drafts that were acknowledged or refused."""
        if self._drafts:
            with self._lock:
                for message, _ in handed_in:
                    self._drafts.pop(message.uuid, None)


def _call(message: Message) -> tuple[object, ...]:
    """Return the fields of a message that define its call, without those that depend on its creation."""
    return (message.task_name, message.queue, message.args, message.kwargs, message.priority, message.metadata)
