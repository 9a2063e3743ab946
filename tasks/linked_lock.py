"""Link a lock to a message, so that the worker releases the lock when the task has ended."""

import inspect
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, Self
from uuid import UUID

import msgspec

from ..journal.async_journal import AsyncJournal
from ..journal.errors import JournalError
from ..journal.event import Draft, encode_context
from ..journal.journal import Journal
from ..journal.row_decoder import RowDecoder, Whole
from .errors import ValidationError
from .limits import TASK_ID_CHARS_MAX
from .locking.requests import lock_requests
from .renumbering import LINKS, renumbered
from .state import names
from .state.routing import LINKED_MARK, is_routed_by, link_id, routed_id, routing_key

logger = logging.getLogger("journeyman")

# An id that the message generated, and no caller chose: a UUID of version 7.
_MADE: Final = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


class Linkable(Protocol):
    """A lock whose hold can outlive the process that has acquired it: a `Lock`, or an `AsyncLock`."""

    name: str

    @property
    def owner_id(self) -> str:
        """The owner for which it is acquired."""
        ...

    @property
    def token(self) -> int | None:
        """The token of its grant to that owner."""
        ...

    def hand_over(self) -> bool | Awaitable[bool]:
        """Let its hold outlive this process."""
        ...


class LinkedLock:
    """The part of `Message` that links a lock to it and releases that lock."""

    linked_lock: dict[str, Any] | None
    uuid: str
    callback_message_data: dict[str, Any] | None

    def link_lock(self, lock: Linkable, override: bool = False, *, route: bool = False) -> Self:
        """Link a lock, to be released when the task has succeeded or failed for good; return the message.

        A hold of the lock is handed over: it outlives this process, and its `ttl` ends it if the task never ends.

        With `route` the message gets another id, `LOCK@NUMBER`, which places its events in the partition of the lock.
        So the outcome and the release share one append, also in a journal of several partitions. The links of the
        message's chain get new ids, which follow from its own.

        `AttributeError` if a lock is linked already, unless `override`. `TypeError` if `lock` is no lock, or is an
        `AsyncLock` whose hold this process still renews: await its `hand_over()` first. `ValidationError` with `route`
        if the caller has chosen the message's id, or if the lock's name is too long for an id or ends with "@" and a
        number.
        """
        if self.linked_lock is not None and not override:
            raise AttributeError(
                f"the lock {self.linked_lock.get('name')!r} is linked to this message already; release it first, or "
                "pass override=True"
            )
        if not hasattr(lock, "hand_over"):
            raise TypeError(f"expected a lock, such as Lock('stock', broker.journal), got {lock!r:.80}")
        if inspect.iscoroutinefunction(lock.hand_over) and lock.token is not None:
            raise TypeError(f"the lock {lock.name!r} is an AsyncLock that is held: await its hand_over(), then link it")
        if route:
            self._route(lock.name)
        token = lock.token
        if token is not None and not lock.hand_over():
            logger.warning("the lock %r was linked to a message, but its owner does not hold it any more", lock.name)
        linked = {"name": lock.name, "owner_id": lock.owner_id}
        self.linked_lock = linked if token is None else {**linked, "token": token}
        return self

    def _route(self, name: str) -> None:
        """Give the message an id whose routing key is `name`, the name of a lock."""
        if is_routed_by(self.uuid, name):
            return
        if not _MADE.fullmatch(self.uuid):
            raise ValidationError(
                f"route=True replaces the id of a message, and the caller has chosen the id {self.uuid!r:.80}: leave "
                "uuid out, or link the lock without route=True"
            )
        routed = routed_id(name, UUID(self.uuid).int)
        if routing_key(routed) != name or len(routed) > TASK_ID_CHARS_MAX:
            raise ValidationError(
                f"route=True takes a lock whose name has at most {TASK_ID_CHARS_MAX - len(routed) + len(name)} "
                f"characters and does not end with '@' and a number, got {name!r:.80}: link it without route=True"
            )
        self.uuid = routed
        if self.callback_message_data is not None:
            self.callback_message_data = renumbered(self.callback_message_data, routed)
        for number, link in enumerate(self.__dict__.get(LINKS, ()), start=1):
            link.update(uuid=link_id(routed, number))

    def release_lock(self, not_linked_ok: bool = False, target_journal: Journal | None = None) -> bool:
        """Release the linked lock in `target_journal`, and unlink it; return whether its owner held it until then.

        If the owner did not hold it, a critical message is logged and the lock stays linked. If no lock is linked, the
        call returns False with `not_linked_ok`, and raises `AttributeError` otherwise. `TypeError` without a journal.
        """
        linked = self.linked_lock
        if linked is None:
            if not_linked_ok:
                return False
            raise AttributeError("no lock is linked to this message; link one, or pass not_linked_ok=True")
        if not isinstance(target_journal, Journal):
            raise TypeError(
                f"target_journal must be the Journal of the lock, such as broker.journal, got {target_journal!r:.80}"
            )
        requests = lock_requests(target_journal.asynchronous)
        if not target_journal.run(requests.release(linked["name"], linked["owner_id"])):
            logger.critical("the linked lock %r is not held by %s any more", linked["name"], linked["owner_id"])
            return False
        self.linked_lock = None
        return True


class LockLink(msgspec.Struct, frozen=True):
    """The lock that is linked to a task, its owner, and the token of its hold; the token is -1 if it is unknown."""

    name: str
    owner_id: str
    token: Whole = -1


class _Context(msgspec.Struct):
    linked_lock: LockLink


class _Submission(msgspec.Struct):
    context: _Context


_decoder: Final = RowDecoder(_Submission)


def link_in(row: bytes) -> LockLink | None:
    """Return the lock linked to the message in the record of a submission; None without one."""
    read = _decoder.read(row) if LINKED_MARK in row else None
    return None if read is None else read.context.linked_lock


def release_draft(link: LockLink, task: str) -> Draft:
    """Return the draft that releases the lock linked to a task; the token of `link` has to be known."""
    context = {"lock": link.name, "token": link.token, "task": task}
    return Draft(names.LOCK_RELEASED, encode_context(names.LOCK_RELEASED, context), link.name)


# Awaits a call, and repeats it while it fails for a reason that may pass, such as an outage of the journal.
Caller = Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]


async def _once(call: Callable[[], Awaitable[None]]) -> None:
    await call()


async def release_link(journal: AsyncJournal, link: LockLink, task: str, caller: Caller = _once) -> None:
    """Release the lock linked to a task that has ended; log a failure, after which the lock's ttl ends the hold."""
    try:
        await caller(lambda: _release(journal, link, task))
    except JournalError as error:
        logger.warning("the lock %r of task %s could not be released; its ttl ends it: %s", link.name, task, error)


async def _release(journal: AsyncJournal, link: LockLink, task: str) -> None:
    if link.token < 0:
        await lock_requests(journal).release(link.name, link.owner_id, {"task": task})
    else:
        await journal.append_drafts([release_draft(link, task)])
