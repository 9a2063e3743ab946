"""Read and report the status of a message, by the names of the reference task queue (`alsek.core.status`)."""

from collections.abc import AsyncGenerator, Coroutine, Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

from ..journal.async_journal import AsyncJournal
from ..journal.errors import JournalClosed
from ..journal.journal import Journal
from .access import JournalAccess
from .statuses import TERMINAL_TASK_STATUSES, Statuses, StatusUpdate, TaskStatus, statuses_in, update_parts

__all__ = ["TERMINAL_TASK_STATUSES", "AsyncStatusTracker", "StatusTracker", "StatusUpdate", "TaskStatus"]
from .lookup import checked
from .message import Message, id_of

T = TypeVar("T")


class Names:
    """The names that the reference gives to what it stores of a status; here they only identify a message."""

    @staticmethod
    def get_storage_name(message: Message) -> str:
        """Return the name under which the reference stores the status; nothing is stored here."""
        return f"status:{message.queue}:{message.task_name}:{message.uuid}"

    @staticmethod
    def get_pubsub_name(message: Message) -> str:
        """Return the name of the channel on which the reference publishes; here the log itself is followed."""
        return f"channel:{message.queue}:{message.task_name}:{message.uuid}"


class StatusTracker(Names):
    """Reads the status of messages from `journal`; it is derived from the events, so it cannot be wrong or late.

    `ttl`, `enable_pubsub` and, in `wait_for`, `poll_interval` are accepted as in the reference, and do nothing: a
    status is known as long as the journal holds the task's events, and readers follow the log, so nothing is polled.
    """

    def __init__(self, journal: Journal, ttl: int | None = None, enable_pubsub: bool | None = None) -> None:
        self._journal = checked(journal, "StatusTracker")
        self.ttl, self.enable_pubsub = ttl, enable_pubsub
        self._statuses = Statuses(journal.asynchronous)

    @property
    def journal(self) -> Journal:
        """The journal it reads."""
        return self._journal

    def exists(self, message: Message | str) -> bool:
        """Whether the journal knows the message, and its status was not deleted."""
        return self._run(self._statuses.exists(id_of(message)), "exists")

    def get(self, message: Message | str) -> StatusUpdate:
        """The status now; `KeyError` if the journal knows no such message, or its status was deleted."""
        return self._run(self._statuses.get(id_of(message)), "get")

    def set(self, message: Message | str, status: TaskStatus, details: Any = None) -> None:
        """Report details of a task, such as its progress; readers get them until its status changes.

        The status itself follows from the task's events, and no report changes who owns a task: `ValidationError` if
        `status` is not the one that the task has, the journal knows no such task, or JSON cannot hold the details.
        Details that are no dictionary, such as a percentage, are read as `details["details"]`.
        """
        self._run(self._statuses.set(id_of(message), status, details), "set")

    def publish_update(self, message: Message | str, update: StatusUpdate) -> None:
        """Report the details of an update, as `set` does."""
        status, details = update_parts(update)
        self._run(self._statuses.set(id_of(message), status, details), "publish_update")

    def delete(self, message: Message | str, check: bool = True) -> None:
        """Hide the status of a task from `get` and `exists` until it changes; its history stays.

        `ValidationError` for a task that has not ended, unless `check` is False; `KeyError` if there is no status.
        """
        self._run(self._statuses.delete(id_of(message), check=check), "delete")

    def wait_for(
        self,
        message: Message | str,
        status: TaskStatus | Iterable[TaskStatus],
        timeout: float | timedelta | None = 5.0,
        poll_interval: float = 0.05,
        raise_on_timeout: bool = True,
    ) -> TaskStatus:
        """Wait until the message has (one of) the given status, at most `timeout` (seconds or a `timedelta`).

        `timeout=None` waits for ever.

        Returns the status. When the time is over it raises `TimeoutError` or, without `raise_on_timeout`, returns the
        status as it is then. If the message ends with another status, the call times out at once.
        """
        waiting = self._statuses.wait_for(id_of(message), statuses_in(status), timeout, raises=raise_on_timeout)
        return self._run(waiting, "wait_for")

    def listen_to_updates(
        self,
        message: Message | str,
        auto_exit: bool = True,
        timeout: float | timedelta | None = None,
    ) -> Iterator[StatusUpdate]:
        """Yield each status of the message in log order, from its submission on: past ones first, then new ones.

        Reported details are yielded as well. A message that the journal does not know yet is waited for. With
        `auto_exit` the iteration ends when the message has ended; otherwise it goes on, since a dead letter may be
        requeued. `TimeoutError` if it takes longer than `timeout` seconds in all; None waits for ever.
        """
        updates = self._statuses.updates(id_of(message), auto_exit=auto_exit, timeout=timeout)
        try:
            while (update := self._run(updates.next(), "listen_to_updates")) is not None:
                yield update
        finally:
            with suppress(JournalClosed):  # then it is closed as well
                self._journal.run(updates.aclose())

    def _run(self, coroutine: Coroutine[Any, Any, T], name: str) -> T:
        return self._journal.run(coroutine, instead=f"AsyncStatusTracker.{name}")


class AsyncStatusTracker(Names):
    """`StatusTracker` for asyncio, on an `AsyncJournal` or on a `Journal` such as `broker.journal`."""

    def __init__(
        self, journal: AsyncJournal | Journal, ttl: int | None = None, enable_pubsub: bool | None = None
    ) -> None:
        self._access = JournalAccess(journal, "AsyncStatusTracker")
        self.ttl, self.enable_pubsub = ttl, enable_pubsub
        self._statuses = Statuses(self._access.journal)

    async def exists(self, message: Message | str) -> bool:
        """See `StatusTracker.exists`."""
        return await self._access.run(self._statuses.exists(id_of(message)))

    async def get(self, message: Message | str) -> StatusUpdate:
        """See `StatusTracker.get`."""
        return await self._access.run(self._statuses.get(id_of(message)))

    async def set(self, message: Message | str, status: TaskStatus, details: Any = None) -> None:
        """See `StatusTracker.set`."""
        await self._access.run(self._statuses.set(id_of(message), status, details))

    async def publish_update(self, message: Message | str, update: StatusUpdate) -> None:
        """See `StatusTracker.publish_update`."""
        status, details = update_parts(update)
        await self._access.run(self._statuses.set(id_of(message), status, details))

    async def delete(self, message: Message | str, check: bool = True) -> None:
        """See `StatusTracker.delete`."""
        await self._access.run(self._statuses.delete(id_of(message), check=check))

    async def wait_for(
        self,
        message: Message | str,
        status: TaskStatus | Iterable[TaskStatus],
        timeout: float | timedelta | None = 5.0,
        poll_interval: float = 0.05,
        raise_on_timeout: bool = True,
    ) -> TaskStatus:
        """See `StatusTracker.wait_for`; the loop goes on while it waits."""
        waiting = self._statuses.wait_for(id_of(message), statuses_in(status), timeout, raises=raise_on_timeout)
        return await self._access.run(waiting)

    async def listen_to_updates(
        self,
        message: Message | str,
        auto_exit: bool = True,
        timeout: float | timedelta | None = None,
    ) -> AsyncGenerator[StatusUpdate]:
        """See `StatusTracker.listen_to_updates`; the loop goes on while it waits."""
        updates = self._statuses.updates(id_of(message), auto_exit=auto_exit, timeout=timeout)
        try:
            while (update := await self._access.run(updates.next())) is not None:
                yield update
        finally:
            with suppress(JournalClosed):  # then it is closed as well
                await self._access.run(updates.aclose())
