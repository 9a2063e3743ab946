"""Request, wait for and release locks on the journal's own loop: what the public locks of a process share."""

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from ...consumers.limits import APPEND_REPEATS_MAX
from ...journal.async_journal import AsyncJournal
from ...journal.deadlines import deadline_of
from ...journal.errors import AppendInDoubt, JournalError
from ...journal.event import Draft, Event, encode_context
from ...journal.runtime.forks import reset_after_fork
from ..limits import LOCK_RENEWAL_FRACTION
from ..state import names
from ..state.locks import Requests, capacity_of, holders
from .keeper import Hold, Keeper
from .silence import Silence
from .view import Endings, LockReplica, LockView

_NAME: Final = "locks"


class LockTerms(NamedTuple):
    """The fields of a request for a lock; `lives()` says whether its owner still lives."""

    lock: str
    owner: str
    capacity: int
    lease_ms: int
    ttl_ms: int | None
    host: str
    pid: int
    lives: Callable[[], bool]

    def context(self) -> dict[str, object]:
        """Return the context of the request's event."""
        context: dict[str, object] = {"lock": self.lock, "owner": self.owner, "lease_ms": self.lease_ms}
        if self.capacity != 1:
            context["capacity"] = self.capacity
        if self.ttl_ms is not None:
            context["ttl_ms"] = self.ttl_ms
        return {**context, "host": self.host, "pid": self.pid}


class Answer(NamedTuple):
    """The answer to a request: the token of its grant, None if it was not granted.

    `already`: the owner had been granted the lock before, and holds it.
    """

    token: int | None
    already: bool = False


_REFUSED: Final = Answer(None)


class LockRequests:
    """The requests of this process for the locks of one journal; for any number of threads and tasks of its loop."""

    def __init__(self, journal: AsyncJournal) -> None:
        self._journal = journal
        self._endings: Endings = {}
        self._keeper = Keeper(journal, self._ended)
        self.after_fork_in_child()
        reset_after_fork(self)

    def after_fork_in_child(self) -> None:
        """Hold none of the parent's locks, and read the log anew."""
        self._mutex = threading.Lock()
        self._replicas: dict[int, LockReplica] = {}
        self._silence: dict[int, Silence] = {}
        self._endings.clear()
        self._keeper.after_fork_in_child()

    async def acquire(self, wanted: LockTerms, wait: float | None) -> Answer:
        """Request a lock, and wait for its grant at most `wait` seconds; None: only if it is free now."""
        deadline = deadline_of(wait or 0.0)
        if self._looks_taken(wanted) or (not wait and await self._is_new(wanted.lock)):
            requests = await self._watch(wanted.lock)
            if any(each.owner == wanted.owner for each in holders(requests)):
                return Answer(None, already=True)
            if not wait and not _has_room(requests, wanted.capacity) and not self._wants_proof(wanted.lock):
                return _REFUSED
        while True:
            answer = await self._request(wanted, deadline)
            if answer is not None:
                return answer

    def _looks_taken(self, wanted: LockTerms) -> bool:
        """Whether, by what this process knows, the lock cannot be granted at once; the log may have moved on."""
        if self._keeper.find(wanted.lock, wanted.owner) is not None:
            return True
        if not self._replicas:
            return False
        replica = self._replicas.get(self._journal.log.partition_of(wanted.lock))
        return replica is not None and not _has_room(replica.view.requests(wanted.lock), wanted.capacity)

    def _wants_proof(self, lock: str) -> bool:
        """Whether a request is needed to prove that the owner of another one could have renewed its lease."""
        silence = self._silence.get(self._journal.log.partition_of(lock))
        return silence is not None and silence.wants_proof(lock, time.monotonic())

    def _proof_at(self, lock: str, hurried_at: float) -> float:
        """Return when the next in line, which has renewed its lease for that before, should do so for an event to land.

        So a dead holder with a short lease is not kept for as long as the longer leases of those that wait.
        """
        silence = self._silence[self._journal.log.partition_of(lock)]
        with self._mutex:
            return max(silence.proof_due(lock), hurried_at + silence.step(lock))

    async def _is_new(self, lock: str) -> bool:
        """Whether this process has not read the lock's partition yet."""
        return not (await self._replica(lock)).cursor

    async def _request(self, wanted: LockTerms, deadline: float | None) -> Answer | None:
        """Append one request and wait for its grant; None if it was expired while it waited: repeat it."""
        replica = await self._replica(wanted.lock)
        begun = time.monotonic()
        event = await self._append(names.LOCK_REQUESTED, wanted.lock, wanted.context())
        lease = wanted.lease_ms / 1_000
        ttl = None if wanted.ttl_ms is None else wanted.ttl_ms / 1_000
        due_at = begun + lease * LOCK_RENEWAL_FRACTION
        hold = Hold(
            wanted.lock, wanted.owner, event.partition, event.offset, lease, ttl, wanted.lives, due_at, event.offset
        )
        self._keeper.add(hold)
        try:
            await replica.wait_for(event.position)
            answer = await self._granted(replica, hold, deadline)
        except BaseException:
            await self._give_up(hold)
            raise
        if answer is None:
            self._keeper.remove(hold)
        elif answer.token is None:
            await self._give_up(hold)
        return answer

    async def _granted(self, replica: LockReplica, hold: Hold, deadline: float | None) -> Answer | None:
        """Wait until the request is granted; the answer is None if it has ended otherwise."""
        lock, landed, hurried_at = hold.lock, True, -math.inf
        while True:
            requests = replica.view.requests(lock)
            own = next((each for each in requests if each.token == hold.token), None)
            now = time.monotonic()
            if own is None:
                return None if deadline is None or now < deadline else _REFUSED
            if any(each.owner == hold.owner and each is not own for each in holders(requests)):
                return Answer(None, already=True)
            if own.holds:
                hold.grant(now)
                self._keeper.changed(hold)
                return Answer(hold.token)
            if await self._expire_overdue(replica, lock, landed=landed):
                continue
            if deadline is not None and now >= deadline:
                return _REFUSED
            is_next = own is next(each for each in requests if not each.holds)
            proof_at = self._proof_at(lock, hurried_at) if is_next else math.inf
            until = min(proof_at, math.inf if deadline is None else deadline)
            landed = False
            with suppress(TimeoutError):
                await replica.wait_until(_changes(lock, requests), None if until == math.inf else max(0.0, until - now))
                landed = True
            if not landed and proof_at <= (now := time.monotonic()):
                hurried_at = now
                self._keeper.hurry(hold)

    async def _give_up(self, hold: Hold) -> None:
        """Withdraw a request; if that fails, it ends with its lease."""
        self._keeper.remove(hold)
        with suppress(JournalError):
            await self._append(names.LOCK_WITHDRAWN, hold.lock, {"lock": hold.lock, "token": hold.token})

    async def _expire_overdue(self, replica: LockReplica, lock: str, *, landed: bool) -> bool:
        """Expire the requests of other owners that are silent or hold the lock for too long; return whether any was."""
        silence = self._silence[replica.view.partition]
        requests = replica.view.requests(lock)
        with self._mutex:
            overdue = silence.observe(lock, requests, self._keeper.tokens(lock), time.monotonic(), landed=landed)
        for request, reason in overdue:
            context = {"lock": lock, "token": request.token, "last": request.last, "reason": reason}
            event = await self._append(names.LOCK_EXPIRED, lock, context)
            await replica.wait_for(event.position)
        return bool(overdue)

    async def release(self, lock: str, owner: str, signature: Mapping[str, str] | None = None) -> bool:
        """Release the lock that `owner` holds; return whether it held it until then."""
        hold = self._keeper.find(lock, owner)
        if hold is not None and self._keeper.remove(hold):
            return await self.end(lock, hold.token, signature)
        requests = holders(await self.look(lock))
        token = next((each.token for each in requests if each.owner == owner), None)
        return token is not None and await self.end(lock, token, signature)

    async def end(self, lock: str, token: int, signature: Mapping[str, str] | None = None) -> bool:
        """Release the hold of that token; return whether it took effect."""
        replica = await self._replica(lock)
        self._endings[lock, token] = None
        try:
            context = {"lock": lock, "token": token, **(signature or {})}
            event = await self._append(names.LOCK_RELEASED, lock, context)
            await replica.wait_for(event.position)
            return self._endings[lock, token] == event.offset
        finally:
            self._endings.pop((lock, token), None)

    async def hand_over(self, lock: str, owner: str, lease_ms: int) -> bool:
        """Give the hold of `owner` that lease, and renew it no more; return whether it holds the lock."""
        hold = self._keeper.find(lock, owner)
        if hold is None:
            return False
        replica = await self._replica(lock)
        context = {"lock": lock, "token": hold.token, "lease_ms": lease_ms}
        event = await self._append(names.LOCK_RENEWED, lock, context)
        self._keeper.remove(hold)
        await replica.wait_for(event.position)
        return replica.view.find(lock, hold.token) is not None

    async def look(self, lock: str) -> Requests:
        """Return the live requests of a lock now."""
        replica = await self._replica(lock)
        await replica.catch_up()
        return replica.view.requests(lock)

    async def _watch(self, lock: str) -> Requests:
        """Return the live requests of a lock now, after those were expired that hold it for too long."""
        replica = await self._replica(lock)
        await replica.catch_up()
        await self._expire_overdue(replica, lock, landed=False)  # what was read may have landed long ago
        return replica.view.requests(lock)

    def token(self, lock: str, owner: str) -> int | None:
        """Return the token by which this process was granted the lock for `owner`, as far as it knows."""
        hold = self._keeper.find(lock, owner)
        return None if hold is None else hold.token

    async def aclose(self) -> None:
        """Stop renewing leases, and reading."""
        await self._keeper.aclose()
        with self._mutex:
            replicas, self._replicas = list(self._replicas.values()), {}
        for replica in replicas:
            await replica.aclose()

    async def _replica(self, lock: str) -> LockReplica:
        """Return the replica of the lock's partition."""
        log = await self._journal.open()
        partition = log.partition_of(lock)
        replica = self._replicas.get(partition)
        if replica is None:
            with self._mutex:
                replica = self._replicas.get(partition)
                if replica is None:
                    replica = self._replicas[partition] = LockReplica(self._journal, partition, self._endings)
                    self._silence[partition] = Silence()
        return replica

    async def _append(self, name: str, lock: str, context: Mapping[str, object]) -> Event:
        """Append one event; an append in doubt is repeated, which never doubles it."""
        drafts = [Draft(name, encode_context(name, context), lock)]
        for _ in range(APPEND_REPEATS_MAX):
            with suppress(AppendInDoubt):
                return (await self._journal.append_drafts(drafts))[0]
        return (await self._journal.append_drafts(drafts))[0]

    async def _ended(self, holds: Sequence[Hold]) -> list[Hold]:
        """Read what became of requests whose leases were renewed; return those that are no more."""
        ended: list[Hold] = []
        caught_up: set[int] = set()
        for hold in holds:
            replica = await self._replica(hold.lock)
            if hold.partition not in caught_up:
                await replica.catch_up()
                caught_up.add(hold.partition)
            request = replica.view.find(hold.lock, hold.token)
            if request is None:
                ended.append(hold)
            else:
                hold.last = request.last
        return ended


def _changes(lock: str, seen: Requests) -> Callable[[LockView], bool]:
    """Return a condition: the requests of a lock are others than those that were seen."""
    return lambda view: view.requests(lock) is not seen


def _has_room(requests: Requests, capacity: int) -> bool:
    """Whether one more request of that capacity would be granted at once."""
    waiting = len(requests) > len(holders(requests))
    least = min(capacity, capacity_of(requests)) if requests else capacity
    return not waiting and len(holders(requests)) < least


def lock_requests(journal: AsyncJournal) -> LockRequests:
    """Return the requests that this process keeps with `journal`, made at first use and closed with it."""
    found = journal.companions.get(_NAME)
    if found is None:
        found = journal.companions.setdefault(_NAME, LockRequests(journal))
    assert isinstance(found, LockRequests)
    return found
