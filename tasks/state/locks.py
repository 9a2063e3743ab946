"""The locks: a part of the state, partition by partition. Pure.

The events of a lock have its name as their key, so they share a partition, whose order decides. A request is identified
by its *token*, the offset of its event, which fences its grant: of two grants of a lock the later one has the greater
token.

Requests are granted first come, first served: the oldest waiting one is granted as soon as fewer requests hold the lock
than its capacity. Each request names a capacity, one for a mutual exclusion; if the live requests of a lock differ, the
smallest counts. A grant is never taken back because a later request names less.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from ...journal.row_decoder import Whole
from . import names
from .decoding import EventContext
from .part import Part
from .state import TaskState
from .verdict import Verdict

_NONE: Final = -1


class LockContext(EventContext, gc=False):
    """The context of an event about a lock."""

    lock: str = ""
    token: Whole = _NONE
    last: Whole = _NONE
    owner: str = ""
    capacity: Whole = 1
    lease_ms: Whole = 0
    ttl_ms: Whole | None = None
    host: str = ""
    pid: Whole = 0


class LockRequest(msgspec.Struct, frozen=True, array_like=True):
    """A live request of a lock, which waits for it or holds it.

    - `token`: the offset of the request, the fencing token of its grant; `at`: its time, in seconds since the epoch.
    - `last`, `last_at`: the offset and the time of its last event, its last sign of life.
    - `granted`: the offset of the event that granted it, -1 while it waits; `granted_at`: the time of that event.
    - `lease_ms`: how long its owner may be silent, by the request or a renewal; `ttl_ms`: how long it may hold the lock
      at most, None for ever.
    """

    token: int
    at: float
    owner: str
    capacity: int
    lease_ms: int
    ttl_ms: int | None
    host: str
    pid: int
    last: int
    last_at: float
    granted: int = _NONE
    granted_at: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether it holds the lock."""
        return self.granted != _NONE


# The live requests of a lock, in log order. Tuples of frozen values: other threads may read them during a change.
Requests = tuple[LockRequest, ...]

_decoder: Final = msgspec.msgpack.Decoder(dict[int, dict[str, Requests]])


class Locks(Part[int, dict[str, Requests], LockContext]):
    """The locks that are held or waited for, by partition and name."""

    name = "locks"
    events = names.LOCK_EVENTS
    context = LockContext

    def apply(self, name: str, context: LockContext, partition: int, offset: int, timestamp: float) -> Verdict:
        """Add, renew or end a request, and grant the lock to those whose turn it is."""
        lock = context.lock
        if not lock:
            return Verdict.FOREIGN
        requests = self.get(partition, {}).get(lock, ())
        if name == names.LOCK_REQUESTED:
            changed = _requested(requests, context, offset, timestamp)
        else:
            changed = _moved(name, requests, context, offset, timestamp)
        if changed is None:
            return Verdict.REFUSED
        self._put(partition, lock, granted(changed, offset, timestamp))
        return self.changed()

    def _put(self, partition: int, lock: str, requests: Requests) -> None:
        locks = self.setdefault(partition, {})
        if requests:
            locks[lock] = requests
            return
        del locks[lock]
        if not locks:
            del self[partition]

    def requests(self, partition: int, lock: str) -> Requests:
        """Return the live requests of a lock, in log order."""
        return self.get(partition, {}).get(lock, ())

    def find(self, partition: int, lock: str, token: int) -> LockRequest | None:
        """Return the live request of that token."""
        return next((each for each in self.requests(partition, lock) if each.token == token), None)

    def dump(self) -> Any:
        """See `Part.dump`."""
        return dict(self)

    def load(self, state: msgspec.Raw, live: Mapping[str, TaskState]) -> Mapping[int, dict[str, Requests]]:
        """See `Part.load`."""
        return _decoder.decode(state)


def _requested(requests: Requests, context: LockContext, offset: int, timestamp: float) -> Requests | None:
    """Return the requests with one more; None if it is not valid."""
    ttl = context.ttl_ms
    if not context.owner or context.capacity < 1 or context.lease_ms < 1 or (ttl is not None and ttl < 1):
        return None
    request = LockRequest(
        offset,
        timestamp,
        context.owner,
        context.capacity,
        context.lease_ms,
        ttl,
        context.host,
        context.pid,
        offset,
        timestamp,
    )
    return (*requests, request)


def _moved(name: str, requests: Requests, context: LockContext, offset: int, timestamp: float) -> Requests | None:
    """Return the requests after an event about the one of the context's token; None if the event is refused."""
    place = next((index for index, each in enumerate(requests) if each.token == context.token), None)
    if place is None:
        return None
    request, before, after = requests[place], requests[:place], requests[place + 1 :]
    if name == names.LOCK_RENEWED:
        lease_ms = context.lease_ms if context.lease_ms > 0 else request.lease_ms
        renewed = msgspec.structs.replace(request, last=offset, last_at=timestamp, lease_ms=lease_ms)
        return (*before, renewed, *after)
    if name == names.LOCK_RELEASED and not request.holds:
        return None
    if name == names.LOCK_EXPIRED and context.last != request.last:
        return None
    return (*before, *after)


def granted(requests: Requests, offset: int, timestamp: float) -> Requests:
    """Return the requests, those granted whose turn it is after the event at `offset`."""
    room = capacity_of(requests) - len(holders(requests))
    if room <= 0:
        return requests
    moved = list(requests)
    for place, request in enumerate(requests):
        if room > 0 and not request.holds:
            moved[place] = msgspec.structs.replace(request, granted=offset, granted_at=timestamp)
            room -= 1
    return tuple(moved)


def holders(requests: Iterable[LockRequest]) -> Requests:
    """Return the requests that hold the lock, in log order."""
    return tuple(each for each in requests if each.holds)


def capacity_of(requests: Iterable[LockRequest]) -> int:
    """Return the capacity of a lock with these live requests: the smallest that one of them names; 1 without any."""
    return min((each.capacity for each in requests), default=1)
