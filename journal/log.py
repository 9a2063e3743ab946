"""The log port: the protocol that a store of events implements for a journal.

One small asynchronous protocol, four implementations (SQLite, Kafka, memory, HTTP), one conformance suite
(`journeyman.journal.testing.conformance`). Logs store and return encoded events (`bytes`), so that each reader decodes
only the parts it needs.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol, runtime_checkable

from .append_counts import AppendCounts
from .cursor import Cursor
from .errors import EventTooLarge, InvalidEvent, JournalGone
from .event import Draft, Event
from .limits import BATCH_BYTES_MAX, BATCH_EVENTS_MAX, PAGE_EVENTS
from .snapshots import SnapshotStore
from .timeline import Fall

# The suffix of a task index that is kept beside a journal's file.
INDEX_SUFFIX: Final = "-index"


class Page(NamedTuple):
    """Consecutive records of one partition: `rows[i]` is the encoded event at `offsets[i]`; never empty."""

    partition: int
    offsets: Sequence[int]
    rows: Sequence[bytes]

    @property
    def next_offset(self) -> int:
        """The offset behind the page, where its reader continues."""
        return self.offsets[-1] + 1


class Text(NamedTuple):
    """Consecutive records from `offset` on, a line each: how many there are, and the bytes of the longest one."""

    offset: int
    events: int
    longest: int
    lines: bytes


class Bounds(NamedTuple):
    """The available history: `first` is the first available offset of each partition, `end` the next to be written."""

    first: Cursor
    end: Cursor


@runtime_checkable
class Tail(Protocol):
    """A reader of a log: it returns the available records, then new ones as they are appended."""

    @property
    def cursor(self) -> Cursor:
        """The position behind the last record handed out, in each partition."""
        ...

    async def page(
        self, limit: int = PAGE_EVENTS, timeout: float | None = None, partition: int | None = None
    ) -> Page | None:
        """Return the next records, of `partition` only if one is named.

        If there are none, wait for an append, at most `timeout` seconds (None: for ever); None after a timeout. A
        record repeated in the log is handed out once. Cancelling loses nothing. Raises `HistoryTruncated` if retention
        has removed the next records.
        """
        ...

    def skip(self, partition: int, offset: int) -> None:
        """Continue at `offset` if that is further: for a reader that has itself written the records before it."""
        ...

    async def aclose(self) -> None:
        """Close the reader."""
        ...


@runtime_checkable
class Immediate(Protocol):
    """A log that can append in the calling thread, without a coroutine, if it need not wait."""

    def try_append(self, draft: Draft) -> Event | None:
        """Append one draft in the calling thread and return its event; None, with nothing appended, if it must wait.

        Also None for a draft that was handed in before or names its partition or time, and if the log is not open.
        Raises the errors of `Log.append`.
        """
        ...


@runtime_checkable
class Sited(Protocol):
    """A log that has a path on this machine for data derived from it."""

    def index_path(self) -> str:
        """The path of its task index, a separate file; ":memory:" for a log that ends with its process."""
        ...


@runtime_checkable
class Textual(Protocol):
    """A log that can return many records as one text, at half the cost of a page of them."""

    def text(self, offset: int, limit: int) -> Text | None:
        """Return up to `limit` consecutive records of partition 0 from `offset` on.

        None if they have to be read by pages: there are none, or one is damaged or contains a line feed.
        """
        ...


@runtime_checkable
class Located(Protocol):
    """A log with a location more exact than its URL, which may be relative to a directory."""

    @property
    def location(self) -> str:
        """Its location and, once opened, whether opening created it: for messages about missing events."""
        ...


@runtime_checkable
class Counting(Protocol):
    """A log that counts its own appends."""

    @property
    def append_counts(self) -> AppendCounts:
        """The counts of the appends through this object that were acknowledged."""
        ...


@runtime_checkable
class Relaying(Protocol):
    """A log to which a process can append for programs elsewhere, as the journal service does."""

    async def identity(self) -> str:
        """The identity of the log, which no other log has; its copies have the same one. "" if it is unknown."""
        ...

    async def append_numbered(self, drafts: Sequence[Draft], since: Mapping[int, int]) -> list[Event]:
        """As `Log.append`, for drafts that writers elsewhere have numbered: they keep `writer` and `seq`.

        Each becomes one event, however often and by however many processes it is handed in: the log looks for it from
        `since` on, offsets that the log had reached before the drafts got their numbers. Each writer's new numbers rise
        along each partition. Raises `JournalGone` if the log does not reach `since`.
        """
        ...


@runtime_checkable
class Lagging(Protocol):
    """A log that knows whether its end may for some seconds be behind events that it has already handed out."""

    @property
    def end_may_lag(self) -> bool:
        """Whether it may; otherwise a cursor beyond the end is of another log."""
        ...


@runtime_checkable
class OneClock(Protocol):
    """A log ordered by the times of its events, which rise along it except at falls."""

    async def falls(self) -> Sequence[Fall]:
        """The places where times fall back, as a clock was ahead before them or is behind since; see `timeline`."""
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
        """The number of partitions; known once opened."""
        ...

    async def open(self, *, create: bool = True) -> None:
        """Open the log, creating it if it is missing; called once, before any other method.

        Without `create` a missing log raises `JournalNotFound`.
        """
        ...

    def partition_of(self, key: str | None) -> int:
        """The partition of a key: the same on every machine and for ever; without a key, the writer's own."""
        ...

    async def append(self, drafts: Sequence[Draft]) -> list[Event]:
        """Make the drafts durable and return them as events, in the order given, with their times and positions.

        Drafts of one call that share a partition land contiguously, all or none. A draft that was handed in before
        (its append cancelled, timed out or in doubt) is not appended twice. Raises `EventTooLarge` before anything is
        sent, `AppendInDoubt` if it is unknown whether the drafts have landed.
        """
        ...

    async def read(self, cursor: Mapping[int, int], limit: int = PAGE_EVENTS) -> list[Page]:
        """Return at most `limit` available records from `cursor` on, in the partitions it names, without waiting."""
        ...

    async def tail(self, cursor: Mapping[int, int]) -> Tail:
        """Return a reader that starts at `cursor`, in the partitions it names."""
        ...

    async def bounds(self) -> Bounds:
        """Return the first available and the end position of each partition."""
        ...

    async def position_at(self, timestamp: float) -> Cursor:
        """Return per partition the offset from which on events were appended at or after `timestamp` (log's clock).

        A log with one clock, its machine's, ignores times stamped while that clock was wrong; see `timeline`. Kafka's
        clocks are those of its brokers.
        """
        ...

    async def trim(self, before: Mapping[int, int]) -> None:
        """Remove the events below these offsets permanently; the offsets of the other events stay.

        Reading a removed event raises `HistoryTruncated`.
        """
        ...

    def snapshots(self) -> SnapshotStore:
        """The store of the snapshots of views of this log; known once opened."""
        ...

    async def aclose(self) -> None:
        """Finish the accepted appends and close the log; closing twice is harmless."""
        ...


def check_partitions(drafts: Sequence[Draft], partitions: int) -> None:
    """Raise `InvalidEvent` if a draft names a partition that the log does not have."""
    for draft in drafts:
        if draft.partition is not None and not 0 <= draft.partition < partitions:
            raise InvalidEvent(
                f"the draft of {draft.name!r} names partition {draft.partition}; this journal has {_range(partitions)}"
            )


def check_cursor(cursor: Mapping[int, int], partitions: int) -> None:
    """Raise `ValueError` if the cursor names a partition that the log does not have."""
    if any(partition >= partitions for partition in cursor):
        raise ValueError(f"the cursor {Cursor(cursor)} is not one of this journal, which has {_range(partitions)}")


def refuse_unreached(url: str, since: Mapping[int, int], end: Mapping[int, int]) -> None:
    """Raise `JournalGone` if a log that ends at `end` does not reach `since`, offsets that it had reached before."""
    for partition, offset in since.items():
        if offset > end.get(partition, 0):
            raise JournalGone(
                f"the journal {url} was replaced: partition {partition} had reached offset {offset} and ends at "
                f"{end.get(partition, 0)} now; nothing was appended. Close the journal, open it again, and read it "
                "from its beginning."
            )


def _range(partitions: int) -> str:
    return "the partition 0 only" if partitions == 1 else f"the partitions 0 to {partitions - 1}"


def check_batch(sizes: Sequence[int]) -> None:
    """Raise `EventTooLarge` if an append exceeds the limits of one batch; `sizes` are the drafts' bytes."""
    if len(sizes) > BATCH_EVENTS_MAX:
        raise EventTooLarge(
            f"one append takes at most {BATCH_EVENTS_MAX:,} events, got {len(sizes):,}. "
            "Split it; each part lands all or none."
        )
    if sum(sizes) > BATCH_BYTES_MAX:
        raise EventTooLarge(
            f"one append takes at most {BATCH_BYTES_MAX:,} bytes, got up to {sum(sizes):,}. "
            "Split it; each part lands all or none."
        )
