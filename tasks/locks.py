"""Locks over processes and machines: `Lock`, `ProcessLock`, `ThreadLock`, `Semaphore`, and the same for asyncio.

A lock is granted by the order of the log, first come, first served. While its owner lives, its process renews the lease
of the hold; an owner that was silent for its lease has its request expired by the processes that wait. So no lock is
lost with its holder.
"""

import os
import socket
import threading
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Final, Literal, NoReturn, Self

from ..journal.async_journal import AsyncJournal
from ..journal.journal import Journal
from .access import JournalAccess
from .errors import LockAlreadyAcquiredError, LockNotAcquiredError, ValidationError
from .limits import (
    LOCK_CAPACITY_MAX,
    LOCK_LEASE_SECONDS,
    LOCK_LEASE_SECONDS_MIN,
    LOCK_NAME_CHARS_MAX,
    LOCK_OWNER_CHARS_MAX,
    LOCK_TTL_MS_DEFAULT,
)
from .locking.owners import object_owner, process_owner, thread_owner
from .locking.requests import Answer, LockRequests, LockTerms, lock_requests
from .lookup import checked
from .state.locks import holders

IfAlreadyAcquired = Literal["raise_error", "return_true", "return_false"]

_ANSWERS: Final = ("raise_error", "return_true", "return_false")
_PREFIX: Final = "lock:"


class _Terms:
    """What both kinds of locks have: the name and the terms of each request."""

    _capacity = 1

    def __init__(
        self,
        name: str,
        ttl: int | timedelta | None,
        auto_release: bool,
        owner_id: str | None,
        lease_seconds: float | timedelta,
    ) -> None:
        self.name = _text("the name of a lock", name, LOCK_NAME_CHARS_MAX)
        self.ttl = _milliseconds("ttl", ttl)
        self.auto_release = auto_release
        self._owner_id = None if owner_id is None else _text("owner_id", owner_id, LOCK_OWNER_CHARS_MAX)
        self._lease_ms = _lease(lease_seconds)

    @property
    def full_name(self) -> str:
        """The name with the prefix of locks."""
        return f"{_PREFIX}{self.name}"

    @property
    def owner_id(self) -> str:
        """The id of the owner that this call would acquire the lock for."""
        return self._owner_id or self._default_owner()

    def _default_owner(self) -> str:
        return thread_owner()

    def _lives(self) -> Callable[[], bool]:
        """Return a call that says whether the owner of a request made now still lives."""
        return threading.current_thread().is_alive if self._owner_id is None else _always

    def _wanted(self) -> LockTerms:
        return LockTerms(
            self.name,
            self.owner_id,
            self._capacity,
            self._lease_ms,
            self.ttl,
            socket.gethostname(),
            os.getpid(),
            self._lives(),
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


class Lock(_Terms):
    """A mutual exclusion over processes and machines, kept in `journal`.

    - `ttl`: how long it may be held at most, in ms or as a `timedelta`, however alive its holder is; None for ever.
    - `auto_release`: release it at the end of a `with` block. The block does not acquire it.
    - `owner_id`: the owner it is acquired for; None for the calling thread. A hold of a thread ends with the thread.
    - `lease_seconds`: how long its owner may be silent, as it is if its process was killed, until it loses the lock.

    `ValidationError`, a `ValueError`, for an empty name or another bad argument.
    """

    def __init__(
        self,
        name: str,
        journal: Journal,
        ttl: int | timedelta | None = LOCK_TTL_MS_DEFAULT,
        auto_release: bool = True,
        owner_id: str | None = None,
        *,
        lease_seconds: float | timedelta = LOCK_LEASE_SECONDS,
    ) -> None:
        super().__init__(name, ttl, auto_release, owner_id, lease_seconds)
        self._journal = checked(journal, type(self).__name__)

    @property
    def _requests(self) -> LockRequests:
        return lock_requests(self._journal.asynchronous)

    @property
    def holder(self) -> str | None:
        """The id of the owner that holds the lock now, of several the first; None if it is free. Reads the journal."""
        return next(iter(self.holders), None)

    @property
    def holders(self) -> tuple[str, ...]:
        """The ids of the owners that hold the lock now, in the order of their grants. Reads the journal."""
        found = self._journal.run(self._requests.look(self.name), instead="AsyncLock.holders")
        return tuple(each.owner for each in holders(found))

    @property
    def held(self) -> bool:
        """Whether the owner `owner_id` holds the lock now. Reads the journal."""
        return self.owner_id in self.holders

    @property
    def token(self) -> int | None:
        """The fencing token of this process's grant to `owner_id`: its position in the log; None without one.

        Of two grants of a lock the later one has the greater token, so a store that refuses smaller tokens than it has
        seen is safe from a holder that was expired without knowing. Does not read the journal.
        """
        return self._requests.token(self.name, self.owner_id)

    def acquire(
        self, wait: float | timedelta | None = None, if_already_acquired: IfAlreadyAcquired = "raise_error"
    ) -> bool:
        """Acquire the lock; return whether it was acquired.

        `wait` is how long to wait at most, in seconds or as a `timedelta`; None tries once. Callers that wait are
        served in the order in which they came. If the owner holds it already: `LockAlreadyAcquiredError`, or True or
        False as `if_already_acquired` says.
        """
        seconds = _checked(wait, if_already_acquired)
        acquiring = self._requests.acquire(self._wanted(), seconds)
        answer = self._journal.run(acquiring, instead="AsyncLock.acquire")
        return _outcome(self, answer, if_already_acquired)

    def release(self, raise_if_not_acquired: bool = False) -> bool:
        """Release the lock; return whether the owner held it until then.

        `LockNotAcquiredError` if not and `raise_if_not_acquired` is set.
        """
        releasing = self._requests.release(self.name, self.owner_id)
        released = self._journal.run(releasing, instead="AsyncLock.release")
        if not released and raise_if_not_acquired:
            _not_acquired(self)
        return released

    def hand_over(self) -> bool:
        """Let the hold outlive this process, until `release` by its owner id, or for its ttl; one hour without one.

        Returns whether the owner holds the lock. `Message.link_lock` does so for the task that is to release it.
        """
        handing = self._requests.hand_over(self.name, self.owner_id, self.ttl or LOCK_TTL_MS_DEFAULT)
        return self._journal.run(handing, instead="AsyncLock.hand_over")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.auto_release and self.token is not None:
            self.release()


class ProcessLock(Lock):
    """A `Lock` whose owner, unless given, is the process: its threads hold it together."""

    def _default_owner(self) -> str:
        return process_owner()

    def _lives(self) -> Callable[[], bool]:
        return _always


class ThreadLock(Lock):
    """A `Lock` whose owner, unless given, is the calling thread."""


class Semaphore(Lock):
    """A lock that up to `capacity` owners hold at once; otherwise as `Lock`.

    All its users should name the same capacity. If they do not, the smallest that a live request names counts.
    """

    def __init__(
        self,
        name: str,
        journal: Journal,
        capacity: int,
        ttl: int | timedelta | None = LOCK_TTL_MS_DEFAULT,
        auto_release: bool = True,
        owner_id: str | None = None,
        *,
        lease_seconds: float | timedelta = LOCK_LEASE_SECONDS,
    ) -> None:
        super().__init__(name, journal, ttl, auto_release, owner_id, lease_seconds=lease_seconds)
        self.capacity = self._capacity = _capacity_of(capacity)


class AsyncLock(_Terms):
    """`Lock` for asyncio, on an `AsyncJournal` or on a `Journal` such as `broker.journal`.

    Unless `owner_id` is given, its owner is the object itself, so each task makes one of its own.
    """

    def __init__(
        self,
        name: str,
        journal: AsyncJournal | Journal,
        ttl: int | timedelta | None = LOCK_TTL_MS_DEFAULT,
        auto_release: bool = True,
        owner_id: str | None = None,
        *,
        lease_seconds: float | timedelta = LOCK_LEASE_SECONDS,
    ) -> None:
        super().__init__(name, ttl, auto_release, owner_id, lease_seconds)
        self._access = JournalAccess(journal, type(self).__name__)
        self._made = (os.getpid(), object_owner())

    @property
    def _requests(self) -> LockRequests:
        return lock_requests(self._access.journal)

    def _default_owner(self) -> str:
        if self._made[0] != os.getpid():
            self._made = (os.getpid(), object_owner())
        return self._made[1]

    def _lives(self) -> Callable[[], bool]:
        return _always

    async def holders(self) -> tuple[str, ...]:
        """See `Lock.holders`."""
        found = await self._access.run(self._requests.look(self.name))
        return tuple(each.owner for each in holders(found))

    async def holder(self) -> str | None:
        """See `Lock.holder`."""
        return next(iter(await self.holders()), None)

    async def held(self) -> bool:
        """See `Lock.held`."""
        return self.owner_id in await self.holders()

    @property
    def token(self) -> int | None:
        """See `Lock.token`."""
        return self._requests.token(self.name, self.owner_id)

    async def acquire(
        self, wait: float | timedelta | None = None, if_already_acquired: IfAlreadyAcquired = "raise_error"
    ) -> bool:
        """See `Lock.acquire`; the loop goes on while it waits. If it is cancelled, the request is withdrawn."""
        seconds = _checked(wait, if_already_acquired)
        answer = await self._access.run(self._requests.acquire(self._wanted(), seconds))
        return _outcome(self, answer, if_already_acquired)

    async def release(self, raise_if_not_acquired: bool = False) -> bool:
        """See `Lock.release`."""
        released = await self._access.run(self._requests.release(self.name, self.owner_id))
        if not released and raise_if_not_acquired:
            _not_acquired(self)
        return released

    async def hand_over(self) -> bool:
        """See `Lock.hand_over`."""
        handing = self._requests.hand_over(self.name, self.owner_id, self.ttl or LOCK_TTL_MS_DEFAULT)
        return await self._access.run(handing)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.auto_release and self.token is not None:
            await self.release()


class AsyncSemaphore(AsyncLock):
    """`Semaphore` for asyncio; see `AsyncLock`."""

    def __init__(
        self,
        name: str,
        journal: AsyncJournal | Journal,
        capacity: int,
        ttl: int | timedelta | None = LOCK_TTL_MS_DEFAULT,
        auto_release: bool = True,
        owner_id: str | None = None,
        *,
        lease_seconds: float | timedelta = LOCK_LEASE_SECONDS,
    ) -> None:
        super().__init__(name, journal, ttl, auto_release, owner_id, lease_seconds=lease_seconds)
        self.capacity = self._capacity = _capacity_of(capacity)


def _always() -> bool:
    return True


def _outcome(lock: _Terms, answer: Answer, if_already_acquired: IfAlreadyAcquired) -> bool:
    """Return what `acquire` returns, or raise."""
    if not answer.already:
        return answer.token is not None
    if if_already_acquired == "raise_error":
        raise LockAlreadyAcquiredError(
            f"the lock {lock.name!r} is held by {lock.owner_id} already, which asks for it; release it first, or pass "
            "if_already_acquired='return_true' or 'return_false'"
        )
    return if_already_acquired == "return_true"


def _not_acquired(lock: _Terms) -> NoReturn:
    raise LockNotAcquiredError(
        f"the lock {lock.name!r} is not held by {lock.owner_id}: it was never acquired, or its hold was released or "
        f"expired since; `journeyman lock show` prints its history"
    )


def _checked(wait: float | timedelta | None, if_already_acquired: str) -> float | None:
    """Return `wait` in seconds; `ValidationError` for a bad argument of `acquire`."""
    if if_already_acquired not in _ANSWERS:
        raise ValidationError(f"if_already_acquired is one of {', '.join(_ANSWERS)}, got {if_already_acquired!r:.80}")
    seconds = wait.total_seconds() if isinstance(wait, timedelta) else wait
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        raise ValidationError(
            f"wait is a number of seconds that is not negative, a timedelta or None, got {wait!r:.80}"
        )
    return seconds


def _text(what: str, value: object, longest: int) -> str:
    if not isinstance(value, str) or not value or len(value) > longest:
        raise ValidationError(f"{what} is a text of 1 to {longest} characters, got {value!r:.80}")
    return value


def _milliseconds(what: str, value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, timedelta):
        value = round(value.total_seconds() * 1_000)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValidationError(
            f"{what} is a whole number of ms from 1 up, a timedelta, or None for ever, got {value!r:.80}"
        )
    return value


def _lease(value: object) -> int:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= LOCK_LEASE_SECONDS_MIN:
        raise ValidationError(
            f"lease_seconds is a number of seconds from {LOCK_LEASE_SECONDS_MIN} up, or a timedelta, got {value!r:.80}"
        )
    return round(seconds * 1_000)


def _capacity_of(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LOCK_CAPACITY_MAX:
        raise ValidationError(f"capacity is a whole number from 1 to {LOCK_CAPACITY_MAX:,}, got {value!r:.80}")
    return value
