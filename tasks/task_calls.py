"""The methods of a task that take one of its messages: revoke it, report its status, ask whether it was revoked."""

from .broker import Broker
from .disposition import Effect
from .message import Message
from .status import StatusTracker
from .statuses import TaskStatus


class TaskCalls:
    """The calls about a message; they go to the task's broker and status tracker."""

    broker: Broker
    status_tracker: StatusTracker | None

    def revoke(self, message: Message | str, skip_if_running: bool = False) -> Effect:
        """Take a message out of the queue and stop its run, see `Broker.revoke`; return the effect.

        With `skip_if_running` one that a worker has claimed is left alone: `Disposition.RUNNING`.
        """
        return self.broker.revoke(message, skip_if_running=skip_if_running)

    def update_status(self, message: Message, status: TaskStatus) -> None:
        """Note a status of a message, by the task's `status_tracker`; without one this does nothing."""
        if self.status_tracker is not None:
            self.status_tracker.set(message, status)

    def is_revoked(self, message: Message | str) -> bool:
        """Return whether the message was revoked, by the log as it is now."""
        return self.broker.is_revoked(message)
