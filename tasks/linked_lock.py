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

# An id that was made for a message: a UUID of version 7.
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
    """What a message has for the lock that is linked to it."""

    linked_lock: dict[str, Any] | None
    uuid: str
    callback_message_data: dict[str, Any] | None

    def link_lock(self, lock: Linkable, override: bool = False, *, route: bool = False) -> Self:
        """Link a lock, to be released when the task has succeeded or failed for good; return the message.

        A lock that is held is handed over: it outlives this process, and its `ttl` ends it if the task never ends.

        With `route` the message gets another id, `LOCK@NUMBER`, by which its events stand in the partition of the lock:
        so its end and the release share one append in a journal of several partitions, too. Links that follow it get
        the ids that belong to it.

        `AttributeError` if a lock is linked already, unless `override`. `TypeError` for what is no lock, and for an
        `AsyncLock` that is held: await its `hand_over()` before. `ValidationError` for `route` if the caller has chosen
        the id, or the lock's name leaves no room for one or ends as the id of a link does.
        """
        if self.linked_lock is not None and not override:
            raise AttributeError(
                f"the lock {self.linked_lock.get('name')!r} is linked to this message already; release it first, or "
                "pass override=True"
            )
        if not hasattr(lock, "hand_over"):
            raise TypeError(f"a Lock is linked to a message, such as Lock('stock', broker.journal), got {lock!r:.80}")
        if inspect.iscoroutinefunction(lock.hand_over) and lock.token is not None:
            raise TypeError(f"the lock {lock.name!r} is an AsyncLock: await its hand_over() before it is linked")
        if route:
            self._route(lock.name)
        token = lock.token
        if token is not None and not lock.hand_over():
            logger.warning("the lock %r is linked to a message, and its hold has ended", lock.name)
        linked = {"name": lock.name, "owner_id": lock.owner_id}
        self.linked_lock = linked if token is None else {**linked, "token": token}
        return self

    def _route(self, name: str) -> None:
        """Take an id that belongs to the partition of the key `name`."""
        if is_routed_by(self.uuid, name):
            return
        if not _MADE.fullmatch(self.uuid):
            raise ValidationError(
                f"a message is routed by its lock through an id of its own, and the id {self.uuid!r:.80} was chosen. "
                "Leave uuid out, or link the lock without route=True"
            )
        routed = routed_id(name, UUID(self.uuid).int)
        if routing_key(routed) != name or len(routed) > TASK_ID_CHARS_MAX:
            raise ValidationError(
                f"no task can be routed by the lock {name!r:.80}: its name has at most "
                f"{TASK_ID_CHARS_MAX - len(routed) + len(name)} characters for that, and does not end with '@' and a "
                "number. Link it without route=True"
            )
        self.uuid = routed
        if self.callback_message_data is not None:
            self.callback_message_data = renumbered(self.callback_message_data, routed)
        for number, link in enumerate(self.__dict__.get(LINKS, ()), start=1):
            link.update(uuid=link_id(routed, number))

    def release_lock(self, not_linked_ok: bool = False, target_journal: Journal | None = None) -> bool:
        """Release the linked lock in that journal, and unlink it; return whether it was held until then.

        If it was not, an error is logged and the lock stays linked. Without a linked lock the call returns False with
        `not_linked_ok`, and raises `AttributeError` otherwise. `TypeError` without a journal.
        """
        linked = self.linked_lock
        if linked is None:
            if not_linked_ok:
                return False
            raise AttributeError("no lock is linked to this message; pass not_linked_ok=True if there need not be one")
        if not isinstance(target_journal, Journal):
            raise TypeError(
                f"target_journal is the Journal of the lock, such as broker.journal, got {target_journal!r:.80}"
            )
        requests = lock_requests(target_journal.asynchronous)
        if not target_journal.run(requests.release(linked["name"], linked["owner_id"])):
            logger.critical("the linked lock %r is not held by %s any more", linked["name"], linked["owner_id"])
            return False
        self.linked_lock = None
        return True


class LockLink(msgspec.Struct, frozen=True):
    """The lock that is linked to a task, its owner, and the token of its hold; -1 if that is unknown."""

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
    """Return the release of the lock linked to a task, whose token is known."""
    context = {"lock": link.name, "token": link.token, "task": task}
    return Draft(names.LOCK_RELEASED, encode_context(names.LOCK_RELEASED, context), link.name)


# Makes a call, and repeats it as long as its failures may pass.
Caller = Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]


async def _once(call: Callable[[], Awaitable[None]]) -> None:
    await call()


async def release_link(journal: AsyncJournal, link: LockLink, task: str, caller: Caller = _once) -> None:
    """Release the lock linked to a task that has ended. If that fails, the lock's ttl ends the hold."""
    try:
        await caller(lambda: _release(journal, link, task))
    except JournalError as error:
        logger.warning("the lock %r of task %s could not be released, its ttl ends it: %s", link.name, task, error)


async def _release(journal: AsyncJournal, link: LockLink, task: str) -> None:
    if link.token < 0:
        await lock_requests(journal).release(link.name, link.owner_id, {"task": task})
    else:
        await journal.append_drafts([release_draft(link, task)])
