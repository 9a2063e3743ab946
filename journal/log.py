"""The log port: what a journal needs of the thing that stores its events.

One small asynchronous protocol, four implementations, one conformance suite (`journeyman.journal.testing.conformance`).
Logs speak encoded events (`bytes`), so that each reader decodes only what it needs.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol, runtime_checkable

from .cursor import Cursor
from .errors import EventTooLarge, InvalidEvent
from .event import Draft, Event
from .limits import BATCH_BYTES_MAX, BATCH_EVENTS_MAX, PAGE_EVENTS
from .snapshots import SnapshotStore
from .timeline import Fall

# What the name of a task index that stands beside a journal's file ends with.
INDEX_SUFFIX: Final = "-index"


class Page(NamedTuple):
    """Consecutive records of one partition: `rows[i]` is the encoded event at `offsets[i]`; never empty."""

    partition: int
    offsets: Sequence[int]
    rows: Sequence[bytes]

    @property
    def next_offset(self) -> int:
        """The offset a reader of this page reads next."""
        return self.offsets[-1] + 1


class Text(NamedTuple):
    """Consecutive records from `offset` on, a line each: how many there are, and the bytes of the longest one."""

    offset: int
    events: int
    longest: int
    lines: bytes


class Bounds(NamedTuple):
    """What history is there: `first` is the first available offset of each partition, `end` the next to be written."""

    first: Cursor
    end: Cursor


@runtime_checkable
class Tail(Protocol):
    """One reader's way through a log: first what is there, then what comes."""

    @property
    def cursor(self) -> Cursor:
        """What has been handed out so far."""
        ...

    async def page(
        self, limit: int = PAGE_EVENTS, timeout: float | None = None, partition: int | None = None
    ) -> Page | None:
        """The next records, of `partition` only if one is named.

        At once if there are any; otherwise waits for an append, at most `timeout` seconds (None: for ever), and returns
        None when that is over. A record repeated in the log is handed out once. Cancelling it loses nothing.
        Raises `HistoryTruncated` if retention has removed what comes next.
        """
        ...

    def skip(self, partition: int, offset: int) -> None:
        """Go on at `offset` if that is further: for a reader that knows what lies before it, having written it."""
        ...

    async def aclose(self) -> None:
        """Let go of what the reader holds."""
        ...


@runtime_checkable
class Immediate(Protocol):
    """A log that can append in the calling thread, without a coroutine, where nothing is in the way."""

    def append_at_once(self, draft: Draft) -> Event | None:
        """Append one draft here and now and return its event; None, with nothing appended, if that needs a wait.

        Or if there is more to it: a draft handed in before, one that names its partition or its time, a log not open.
        Raises as `Log.append` does.
        """
        ...


@runtime_checkable
class Sited(Protocol):
    """A log that says where on this machine what is derived from it is kept."""

    def index_path(self) -> str:
        """The path of its task index, a file of its own; ":memory:" for a log that ends with its process."""
        ...


@runtime_checkable
class Textual(Protocol):
    """A log that can hand out many records as one text, which costs half as much as a page of them."""

    def text(self, offset: int, limit: int) -> Text | None:
        """Up to `limit` consecutive records of partition 0 from `offset` on.

        None if these can only be read by pages: there is none, or one is damaged, or has line feeds in it.
        """
        ...


@runtime_checkable
class Located(Protocol):
    """A log that says where it is better than its URL, which may be relative to a directory."""

    @property
    def location(self) -> str:
        """Where it is, and, once opened, whether that made it: for a caller that looks in vain for what is there."""
        ...


@runtime_checkable
class OneClock(Protocol):
    """A log whose own times are those of its events, which rise along it but for falls."""

    async def falls(self) -> Sequence[Fall]:
        """Where times fall back, as a clock was ahead before or is behind now; see `timeline`."""
        ...


@runtime_checkable
class Log(Protocol):
    """A log of events: partitions, each a totally ordered, append-only sequence of records."""

    @property
    def url(self) -> str:
        """The URL that opens this log again."""
        ...

    @property
    def needs_loop(self) -> bool:
        """Whether its coroutines need a running event loop; otherwise `blocking.run` can drive them in any thread."""
        ...

    @property
    def partitions(self) -> int:
        """How many partitions it has; known once opened."""
        ...

    async def open(self, *, create: bool = True) -> None:
        """Reach the log, creating it if it is not there; called once, before anything else.

        Without `create` one that is not there is refused: `JournalNotFound`.
        """
        ...

    def partition_of(self, key: str | None) -> int:
        """The partition of a key: the same on every machine and for ever; without a key, the writer's own."""
        ...

    async def append(self, drafts: Sequence[Draft]) -> list[Event]:
        """Make the drafts durable and return them as events, in the order given, with their times and positions.

        Drafts of one call that share a partition land contiguously, all or none. A draft that was handed in before
        (its append cancelled, timed out or in doubt) is not appended twice. Raises `EventTooLarge` before anything is
        sent, `AppendInDoubt` when the fate is unknown.
        """
        ...

    async def read(self, cursor: Mapping[int, int], limit: int = PAGE_EVENTS) -> list[Page]:
        """At most `limit` records from `cursor` on that are there now, in the partitions it names; never waits."""
        ...

    async def tail(self, cursor: Mapping[int, int]) -> Tail:
        """A reader that starts at `cursor`, in the partitions it names."""
        ...

    async def bounds(self) -> Bounds:
        """The first available and the end position of each partition."""
        ...

    async def position_at(self, timestamp: float) -> Cursor:
        """For each partition the offset from which on events were appended at or after `timestamp` (log's clock).

        A log that has one clock, its machine's, leaves aside what that clock stamped while it was wrong; see
        `timeline`. Kafka's clocks are those of its brokers.
        """
        ...

    async def trim(self, before: Mapping[int, int]) -> None:
        """Remove the events below these offsets, for good and for everybody; the offsets of the others stay.

        Whoever asks for a removed one is told by `HistoryTruncated`.
        """
        ...

    def snapshots(self) -> SnapshotStore:
        """Where the snapshots of views of this log are kept; known once opened."""
        ...

    async def aclose(self) -> None:
        """Finish what was accepted and let go of the log; closing twice is harmless."""
        ...


def check_partitions(drafts: Sequence[Draft], partitions: int) -> None:
    """Refuse drafts that name a partition which the log does not have."""
    for draft in drafts:
        if draft.partition is not None and not 0 <= draft.partition < partitions:
            raise InvalidEvent(
                f"the draft of {draft.name!r} names partition {draft.partition}; this journal has {_range(partitions)}"
            )


def check_cursor(cursor: Mapping[int, int], partitions: int) -> None:
    """Refuse a cursor that names a partition which the log does not have."""
    if any(partition >= partitions for partition in cursor):
        raise ValueError(f"the cursor {Cursor(cursor)} is not one of this journal, which has {_range(partitions)}")


def _range(partitions: int) -> str:
    return "the partition 0 only" if partitions == 1 else f"the partitions 0 to {partitions - 1}"


def check_batch(sizes: Sequence[int]) -> None:
    """Refuse an append that is over the limits of one batch; `sizes` are the drafts' bytes."""
    if len(sizes) > BATCH_EVENTS_MAX:
        raise EventTooLarge(
            f"one append takes at most {BATCH_EVENTS_MAX:,} events, got {len(sizes):,}. "
            "Split it; each part lands whole."
        )
    if sum(sizes) > BATCH_BYTES_MAX:
        raise EventTooLarge(
            f"one append takes at most {BATCH_BYTES_MAX:,} bytes, got up to {sum(sizes):,}. "
            "Split it; each part lands whole."
        )
