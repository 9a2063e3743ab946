"""Keep the leases of the locks that this process holds or waits for, in the background.

On an embedded log it is a thread, which starts with the first request and ends when there was nothing to renew for a
while; on a log that needs an event loop it is a task of that loop.
"""

import asyncio
import concurrent.futures
import logging
import math
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import chain

from ...journal.async_journal import AsyncJournal
from ...journal.errors import JournalClosed, JournalError
from ...journal.event import Draft, encode_context
from ...journal.limits import EXIT_SECONDS_MAX
from ...journal.runtime import blocking
from ..limits import LOCK_KEEPER_IDLE_SECONDS, LOCK_RENEWAL_FRACTION, LOCK_RENEWALS_MAX
from ..state import names

logger = logging.getLogger("journeyman")

_RETRY_FRACTION = 0.1  # of the lease: how long after a failed renewal it is tried again


@dataclass(eq=False, slots=True)
class Hold:
    """A request of this process for a lock, which waits or is granted.

    Times are of the monotonic clock and, as the spans, in seconds: `due_at` is when its next event is due, `granted_at`
    when the grant was read. `lives()` says whether its owner, such as a thread, still lives; `last` is the offset of
    its last event.
    """

    lock: str
    owner: str
    partition: int
    token: int
    lease: float
    ttl: float | None
    lives: Callable[[], bool]
    due_at: float
    last: int
    granted_at: float | None = None

    def ends_at(self) -> float:
        """Return when its ttl is over; infinity for never, or while it waits."""
        return math.inf if self.ttl is None or self.granted_at is None else self.granted_at + self.ttl

    def grant(self, now: float) -> None:
        """Note that it was granted."""
        self.granted_at = now
        self.due_at = min(self.due_at, self.ends_at())

    def tried(self, begun: float) -> None:
        """Note that its event was appended, by an attempt that began then."""
        due_at = begun + self.lease * LOCK_RENEWAL_FRACTION
        ends_at = self.ends_at()
        self.due_at = due_at if ends_at <= begun else min(due_at, ends_at)

    def over(self, now: float) -> str:
        """Return why it is to be ended, empty if its lease is to be renewed."""
        if now >= self.ends_at():
            return "ttl"
        return "" if self.lives() else "owner ended"

    def draft(self, now: float) -> Draft:
        """Return the event that renews or ends it."""
        if reason := self.over(now):
            context = {"lock": self.lock, "token": self.token, "last": self.last, "reason": reason}
            return Draft(names.LOCK_EXPIRED, encode_context(names.LOCK_EXPIRED, context), self.lock)
        context = {"lock": self.lock, "token": self.token}
        return Draft(names.LOCK_RENEWED, encode_context(names.LOCK_RENEWED, context), self.lock)


# Reads what became of the requests after their renewal, and returns those that have ended.
Check = Callable[[Sequence[Hold]], Awaitable[list[Hold]]]


class Keeper:
    """Renews the leases of the holds that are added to it; `check` reads what became of them."""

    def __init__(self, journal: AsyncJournal, check: Check) -> None:
        self._journal = journal
        self._check = check
        self._closed = False
        self._fails = False
        self.after_fork_in_child()

    def after_fork_in_child(self) -> None:
        """Hold nothing: the requests are the parent's."""
        self._mutex = threading.Lock()
        self._holds: dict[str, list[Hold]] = {}  # by lock, in the order of their requests
        self._runs = False
        self._wakes_at = 0.0
        self._signal: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._task: asyncio.Task[None] | None = None
        self._ended: concurrent.futures.Future[None] | None = None

    def add(self, hold: Hold) -> None:
        """Renew the lease of `hold` from now on."""
        with self._mutex:
            self._holds.setdefault(hold.lock, []).append(hold)
        self.changed(hold)

    def changed(self, hold: Hold) -> None:
        """Note that `hold` may be due earlier than before."""
        with self._mutex:
            starts = not self._runs and not self._closed
            self._runs = self._runs or starts
            wakes = not starts and hold.due_at < self._wakes_at and not self._signal.done()
            signal = self._signal
            if starts:
                self._ended = concurrent.futures.Future()
        if starts:
            self._start()
        elif wakes:
            _set(signal)

    def hurry(self, hold: Hold) -> None:
        """Renew the lease of `hold` now."""
        hold.due_at = time.monotonic()
        self.changed(hold)

    def remove(self, hold: Hold) -> bool:
        """Renew the lease of `hold` no more; return whether it was being renewed."""
        with self._mutex:
            found = self._holds.get(hold.lock, [])
            if hold not in found:
                return False
            found.remove(hold)
            if not found:
                del self._holds[hold.lock]
            return True

    def find(self, lock: str, owner: str) -> Hold | None:
        """Return the hold by which `owner` was granted the lock last; None if this process has none."""
        with self._mutex:
            found = [each for each in self._holds.get(lock, ()) if each.owner == owner]
        return next((each for each in reversed(found) if each.granted_at is not None), None)

    def tokens(self, lock: str) -> list[int]:
        """Return the tokens of this process's own requests for a lock."""
        with self._mutex:
            return [each.token for each in self._holds.get(lock, ())]

    async def aclose(self) -> None:
        """Stop; what is held stays held until its lease is over."""
        with self._mutex:
            self._closed = True
            self._holds.clear()
            signal, ended = self._signal, self._ended
        _set(signal)
        if self._task is not None:
            self._task.cancel()
        if ended is not None:
            await blocking.settled(ended, EXIT_SECONDS_MAX)

    # --- in the background ------------------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._journal.log.needs_loop:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="journeyman-locks")
        else:
            run = self._run
            threading.Thread(target=lambda: blocking.run(run()), name="journeyman-locks", daemon=True).start()

    async def _run(self) -> None:
        ended = self._ended
        try:
            idle_since = time.monotonic()
            while True:
                now = time.monotonic()
                with self._mutex:
                    kept = list(chain.from_iterable(self._holds.values()))
                    due = [each for each in kept if each.due_at <= now]
                    idle_since = now if self._holds else idle_since
                    idles_until = idle_since + LOCK_KEEPER_IDLE_SECONDS
                    if self._closed or (not self._holds and now >= idles_until):
                        self._runs = False  # with the mutex held: the next request starts another run
                        return
                    wakes_at = min((each.due_at for each in kept), default=idles_until)
                    self._wakes_at = wakes_at
                    signal = self._signal = concurrent.futures.Future()
                if due:
                    for start in range(0, len(due), LOCK_RENEWALS_MAX):
                        await self._renew(due[start : start + LOCK_RENEWALS_MAX])
                else:
                    await blocking.settled(signal, wakes_at - now)
        finally:
            with self._mutex:
                self._runs = self._runs and self._ended is not ended  # another run may have begun since
            if ended is not None:
                _set(ended)

    async def _renew(self, holds: list[Hold]) -> None:
        """Renew the leases, and learn which requests have ended meanwhile."""
        begun = time.monotonic()
        for hold in holds:
            hold.tried(begun)
        over = [each for each in holds if each.over(begun)]
        try:
            await self._journal.append_drafts([each.draft(begun) for each in holds])
            lost = await self._check(holds)
        except JournalClosed:
            with self._mutex:
                self._holds.clear()
            return
        except JournalError as error:
            self._tell(error)
            again = time.monotonic()
            for hold in holds:
                hold.due_at = again + hold.lease * _RETRY_FRACTION
            return
        self._fails = False
        for hold in lost:
            if not self.remove(hold) or hold.granted_at is None:
                continue  # it was released meanwhile, or its request is repeated by the caller that waits
            why = f"({hold.over(begun)})" if hold in over else "without an act of its owner"
            logger.warning(
                "the hold of the lock %r by %s, token %d, has ended %s", hold.lock, hold.owner, hold.token, why
            )

    def _tell(self, error: JournalError) -> None:
        """Log the first failure of several in a row."""
        if not self._fails:
            self._fails = True
            logger.warning("leases of locks could not be renewed in %s, trying again: %s", self._journal.url, error)


def _set(future: "concurrent.futures.Future[None]") -> None:
    """Set a future's result unless another thread has."""
    try:
        future.set_result(None)
    except concurrent.futures.InvalidStateError:
        return
