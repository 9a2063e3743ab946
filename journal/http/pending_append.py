"""One append that is queued for the service or in flight: its drafts in the form of the wire, and its outcome."""

import asyncio
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final

import msgspec

from ..event import Draft, Event, place, place_all, stamp_all
from .wire import AnyDrafts, Landed, NewDrafts, pack

_version_of = attrgetter("version")
_encode: Final = msgspec.json.Encoder().encode
_NO_TIME: Final = 0.0  # of events whose times are not known yet
_NO_TIME_BYTES: Final = len(_encode(_NO_TIME))


class PendingAppend:
    """The drafts of one append, of `size` bytes; `wire` is the form in which they travel."""

    __slots__ = (
        "_drafts",
        "_identities",
        "_made",
        "_waiters",
        "attempted",
        "bytes",
        "error",
        "events",
        "settled",
        "size",
        "wire",
    )

    def __init__(self, drafts: Sequence[Draft], size: int, wire: NewDrafts | AnyDrafts) -> None:
        self.size = size
        self.wire = msgspec.Raw(pack(wire))
        self.events: list[Event] = []
        self.bytes = 0  # of the events as they stand in the log, once they have landed
        self.error: Exception | None = None
        self.attempted = False  # whether a request with it was sent, so that it may have landed
        self._drafts = drafts
        self._made: list[Event] = []  # its events, still without times and places
        self._identities = (
            frozenset((draft.writer, draft.seq) for draft in drafts) if isinstance(wire, AnyDrafts) else None
        )
        self.settled = False  # whether its outcome is known
        self._waiters: list[asyncio.Future[None]] = []

    def holds(self, writer: str, seq: int) -> bool:
        """Whether a draft of this identity is on its way with it."""
        if self._identities is not None:
            return (writer, seq) in self._identities
        first = self._drafts[0]
        return writer == first.writer and 0 <= seq - first.seq < len(self._drafts)

    async def wait(self, seconds: float) -> bool:
        """Wait for its outcome, at most so many seconds; return whether it is known."""
        if not self.settled:
            loop = asyncio.get_running_loop()
            waiter = loop.create_future()
            late = loop.call_later(seconds, _wake, waiter)
            self._waiters.append(waiter)
            try:
                await waiter  # `asyncio.wait` would take one more pass of the loop
            finally:
                late.cancel()
        return self.settled

    def make_events(self) -> None:
        """Make the events, still without times and places; to be called while the service works on the request."""
        if self._made:
            return
        raw = msgspec.Raw
        if self._identities is None:  # none has an origin
            self._made = [
                Event(_NO_TIME, each.name, raw(each.context), each.key, each.writer, each.seq, each.version)
                for each in self._drafts
            ]
        else:
            self._made = [
                Event(
                    _NO_TIME,
                    each.name,
                    raw(each.context),
                    each.key,
                    *(each.origin or (each.writer, each.seq)),
                    each.version,
                )
                for each in self._drafts
            ]
        self.bytes = _bytes_of(self._made) - _NO_TIME_BYTES * len(self._made)

    def land(self, outcome: Landed) -> None:
        """Complete the events of drafts that stand in the log."""
        count, times, offsets = len(self._drafts), outcome.times, outcome.offsets
        if outcome.identities is not None:
            for draft, identity in zip(self._drafts, outcome.identities, strict=True):
                draft.writer, draft.seq = identity
            self._made = []
        self.make_events()
        events, self._made = self._made, []
        stamp_all(events, times)
        self.bytes += _bytes_of(times)
        places = range(offsets, offsets + count) if isinstance(offsets, int) else offsets
        if isinstance(outcome.partitions, int):
            place_all(events, outcome.partitions, places)
        else:
            for event, partition, offset in zip(events, outcome.partitions, places, strict=True):
                place(event, partition, offset)
        self.events = events
        self._end()

    def fail(self, error: Exception, *, forget: bool) -> None:
        """End with an error; `forget` that the drafts had numbers, as nothing of them has landed or will."""
        if forget:
            for draft in self._drafts:
                draft.writer, draft.seq = "", 0
        self.error = error
        self._end()

    def _end(self) -> None:
        self.settled = True
        for waiter in self._waiters:
            _wake(waiter)


def _bytes_of(values: Sequence[object]) -> int:
    """The bytes of the encoded values, without the brackets and commas of their list."""
    return len(_encode(values)) - len(values) - 1


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)


def run_of(
    drafts: Sequence[Draft], first: int, since: dict[int, int], partition_for: Callable[[Draft], int] | None
) -> NewDrafts:
    """Return the form in which new, plain drafts travel; `partition_for` if the log has several partitions."""
    rows: list[Any]
    if partition_for is None and {*map(_version_of, drafts)} == {1}:
        rows = [(each.name, each.context, each.key) for each in drafts]
    else:
        partitions = [partition_for(each) if partition_for is not None else None for each in drafts]
        rows = [
            (each.name, each.context, each.key, partition, None, each.version)
            for each, partition in zip(drafts, partitions, strict=True)
        ]
    return NewDrafts(first, since, rows)  # encoded as they are, as arrays


def mixed_of(drafts: Sequence[Draft], since: dict[int, int], partition_for: Callable[[Draft], int]) -> AnyDrafts:
    """Return the form in which any drafts travel; all are numbered."""
    rows: list[Any] = [
        (
            each.name, each.context, each.key, partition_for(each), each.timestamp, each.version, each.writer, each.seq,
            each.origin, each.expected, each.whole_partition,
        )
        for each in drafts
    ]  # fmt: skip
    return AnyDrafts(since, rows)  # encoded as they are, as arrays
