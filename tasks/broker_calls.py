"""The methods that `Broker` and `AsyncBroker` share: acts by hand on tasks and queues, and questions about one task."""

from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any, TypeVar

from ..journal.journal import Journal
from .access import JournalAccess
from .acting import (
    Attribution,
    acknowledge,
    by_holder,
    is_alive,
    is_dead_letter,
    is_revoked,
    purge,
    reject,
    requeue,
    reschedule,
    revoke,
    revoke_waiting,
    stored,
)
from .amending import amend
from .disposition import Effect
from .message import Message, id_of
from .pausing import pause_queue, resume_queue

T = TypeVar("T")


class BrokerCalls(ABC):
    """The calls for synchronous code. `dlq_ttl` is the age in ms at which dead letters are purged; None for never."""

    dlq_ttl: int | None

    @property
    @abstractmethod
    def journal(self) -> Journal:
        """The journal of the tasks."""

    def exists(self, message: Message | str) -> bool:
        """Whether the task waits or runs; False once it has ended."""
        return self._run(is_alive(self.journal.asynchronous, id_of(message)), "exists")

    def in_dlq(self, message: Message | str) -> bool:
        """Whether the task is a dead letter."""
        return self._run(is_dead_letter(self.journal.asynchronous, id_of(message), self.dlq_ttl), "in_dlq")

    def ack(
        self, message: Message | str, *, claim: int | None = None, by: str | None = None, reason: str | None = None
    ) -> Effect:
        """End a task that waits or runs as done, without a result; a late outcome of it is refused.

        `by`, the name of the caller, and `reason` are written into the event, here and in the calls below. With `claim`
        the call has an effect only while the claim at that offset is the task's; a message of a `Consumer` brings its
        own, so that a caller which has lost it ends nothing.

        Returns the effect: `ACKNOWLEDGED`, `ALREADY_ENDED`, `NOT_HELD` if the task has another claim or none, or
        `UNKNOWN` if the journal holds no such task.
        """
        signature = by_holder(message, by, reason, claim)
        return self._run(acknowledge(self.journal.asynchronous, id_of(message), signature), "ack")

    def fail(
        self, message: Message | str, *, claim: int | None = None, by: str | None = None, reason: str | None = None
    ) -> Effect:
        """End a task that waits or runs as a dead letter, with the message's `exception_details` if it has any.

        Returns the effect: `DEAD_LETTERED`, or one of those of `ack`.
        """
        return self._run(reject(self.journal.asynchronous, message, by_holder(message, by, reason, claim)), "fail")

    def retry(
        self, message: Message | str, *, claim: int | None = None, by: str | None = None, reason: str | None = None
    ) -> Effect:
        """Count an attempt of a task that waits or runs, and have it wait for its backoff, whatever `max_retries` is.

        The `retries` and `updated_at` of the message are renewed. Returns the effect: `RESCHEDULED`, or `NOT_HELD`.
        `MessageDoesNotExistsError` if the task has ended, or the journal holds none.
        """
        return self._run(reschedule(self.journal.asynchronous, message, by_holder(message, by, reason, claim)), "retry")

    def remove(self, message: Message | str, *, by: str | None = None, reason: str | None = None) -> Effect:
        """Take a task out of the queue, as `revoke` does, and have no hook called for it."""
        removing = revoke(self.journal.asynchronous, id_of(message), Attribution(by, reason), hooks=False)
        return self._run(removing, "remove")

    def revoke(
        self,
        message: Message | str,
        *,
        by: str | None = None,
        reason: str | None = None,
        skip_if_running: bool = False,
    ) -> Effect:
        """Take a task out of the queue, whether it waits or runs; a late outcome of it is refused.

        Returns the effect: `REVOKED`, `ALREADY_ENDED`, or `UNKNOWN` if the journal holds no such task. With
        `skip_if_running` a task that a worker has claimed is left alone: `RUNNING`.
        """
        taking = revoke_waiting if skip_if_running else revoke
        return self._run(taking(self.journal.asynchronous, id_of(message), Attribution(by, reason)), "revoke")

    def is_revoked(self, message: Message | str) -> bool:
        """Whether the task was revoked."""
        return self._run(is_revoked(self.journal.asynchronous, id_of(message)), "is_revoked")

    def requeue(self, message: Message | str, *, by: str | None = None, reason: str | None = None) -> Effect:
        """Let a dead letter run again, its attempts forgotten.

        Returns the effect: `REQUEUED`, `NOT_A_DEAD_LETTER`, or `UNKNOWN` if the journal holds no such task.
        """
        signature = Attribution(by, reason)
        requeueing = requeue(self.journal.asynchronous, id_of(message), signature, letters_ttl=self.dlq_ttl)
        return self._run(requeueing, "requeue")

    def purge(self, message: Message | str, *, by: str | None = None, reason: str | None = None) -> Effect:
        """Remove a task from the dead letters for good: it cannot be requeued any more. Its history stays.

        Returns the effect: `PURGED`, `NOT_A_DEAD_LETTER`, or `UNKNOWN` if the journal holds no such task.
        """
        return self._run(purge(self.journal.asynchronous, id_of(message), Attribution(by, reason)), "purge")

    def sync_from_journal(self, message: Message | str) -> Message:
        """Return a new message as the journal has it now, with the attempts, times and exception of its last change.

        `KeyError` if the journal does not hold it.
        """
        return self._run(stored(self.journal.asynchronous, id_of(message)), "sync_from_journal")

    sync_from_backend = sync_from_journal

    def sync_to_journal(
        self, message: Message, *, claim: int | None = None, by: str | None = None, reason: str | None = None
    ) -> Effect:
        """Write the message's metadata for the attempts that begin from now on, and for `sync_from_journal`.

        A task that a worker has claimed is amended by its holder alone: with `claim`, or by a message of a `Consumer`.
        Returns the effect: `AMENDED`, or `NOT_HELD` if the task has another claim. `MessageDoesNotExistsError` if the
        task has ended or is unknown; `ValidationError` names any other field that differs from the journal's.
        """
        return self._run(
            amend(self.journal.asynchronous, message, by_holder(message, by, reason, claim)), "sync_to_journal"
        )

    sync_to_backend = sync_to_journal

    def pause(self, queue: str, *, by: str | None = None, reason: str | None = None) -> bool:
        """Stop workers from claiming tasks of that queue until it is resumed; running tasks go on. Durable.

        A claim that a worker makes before it has read of the pause counts. False if the queue was paused already.
        """
        pausing = pause_queue(self.journal.asynchronous, queue, Attribution(by, reason).fields())
        return bool(self._run(pausing, "pause"))

    def resume(self, queue: str, *, by: str | None = None, reason: str | None = None) -> bool:
        """Let workers claim tasks of that queue again; False if it was not paused."""
        resuming = resume_queue(self.journal.asynchronous, queue, Attribution(by, reason).fields())
        return bool(self._run(resuming, "resume"))

    def _run(self, coroutine: Coroutine[Any, Any, T], name: str) -> T:
        return self.journal.run(coroutine, instead=f"AsyncBroker.{name}")


class AsyncBrokerCalls(ABC):
    """The calls for asyncio; see `BrokerCalls`."""

    @property
    @abstractmethod
    def dlq_ttl(self) -> int | None:
        """The age in ms at which dead letters are purged; None for never."""

    @abstractmethod
    def _access_now(self) -> JournalAccess:
        """Return the present journal."""

    async def exists(self, message: Message | str) -> bool:
        """See `Broker.exists`."""
        access = self._access_now()
        return await access.run(is_alive(access.journal, id_of(message)))

    async def in_dlq(self, message: Message | str) -> bool:
        """See `Broker.in_dlq`."""
        access = self._access_now()
        return await access.run(is_dead_letter(access.journal, id_of(message), self.dlq_ttl))

    async def ack(
        self, message: Message | str, *, claim: int | None = None, by: str | None = None, reason: str | None = None
    ) -> Effect:
        """See `Broker.ack`."""
        access = self._access_now()
        return await access.run(acknowledge(access.journal, id_of(message), by_holder(message, by, reason, claim)))

    async def fail(
        self, message: Message | str, *, claim: int | None = None, by: str | None = None, reason: str | None = None
    ) -> Effect:
        """See `Broker.fail`."""
        access = self._access_now()
        return await access.run(reject(access.journal, message, by_holder(message, by, reason, claim)))

    async def retry(
        self, message: Message | str, *, claim: int | None = None, by: str | None = None, reason: str | None = None
    ) -> Effect:
        """See `Broker.retry`."""
        access = self._access_now()
        return await access.run(reschedule(access.journal, message, by_holder(message, by, reason, claim)))

    async def remove(self, message: Message | str, *, by: str | None = None, reason: str | None = None) -> Effect:
        """See `Broker.remove`."""
        access = self._access_now()
        return await access.run(revoke(access.journal, id_of(message), Attribution(by, reason), hooks=False))

    async def revoke(
        self,
        message: Message | str,
        *,
        by: str | None = None,
        reason: str | None = None,
        skip_if_running: bool = False,
    ) -> Effect:
        """See `Broker.revoke`."""
        access, taking = self._access_now(), revoke_waiting if skip_if_running else revoke
        return await access.run(taking(access.journal, id_of(message), Attribution(by, reason)))

    async def is_revoked(self, message: Message | str) -> bool:
        """See `Broker.is_revoked`."""
        access = self._access_now()
        return await access.run(is_revoked(access.journal, id_of(message)))

    async def requeue(self, message: Message | str, *, by: str | None = None, reason: str | None = None) -> Effect:
        """See `Broker.requeue`."""
        access = self._access_now()
        signature = Attribution(by, reason)
        return await access.run(requeue(access.journal, id_of(message), signature, letters_ttl=self.dlq_ttl))

    async def purge(self, message: Message | str, *, by: str | None = None, reason: str | None = None) -> Effect:
        """See `Broker.purge`."""
        access = self._access_now()
        return await access.run(purge(access.journal, id_of(message), Attribution(by, reason)))

    async def sync_from_journal(self, message: Message | str) -> Message:
        """See `Broker.sync_from_journal`."""
        access = self._access_now()
        return await access.run(stored(access.journal, id_of(message)))

    sync_from_backend = sync_from_journal

    async def sync_to_journal(
        self, message: Message, *, claim: int | None = None, by: str | None = None, reason: str | None = None
    ) -> Effect:
        """See `Broker.sync_to_journal`."""
        access = self._access_now()
        return await access.run(amend(access.journal, message, by_holder(message, by, reason, claim)))

    sync_to_backend = sync_to_journal

    async def pause(self, queue: str, *, by: str | None = None, reason: str | None = None) -> bool:
        """See `Broker.pause`."""
        access = self._access_now()
        return bool(await access.run(pause_queue(access.journal, queue, Attribution(by, reason).fields())))

    async def resume(self, queue: str, *, by: str | None = None, reason: str | None = None) -> bool:
        """See `Broker.resume`."""
        access = self._access_now()
        return bool(await access.run(resume_queue(access.journal, queue, Attribution(by, reason).fields())))
