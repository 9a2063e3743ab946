"""The shared base and helpers of the conformance suite's parts."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, ClassVar, Generic, TypeVar

from ..errors import JournalError
from ..event import Draft, Event, draft
from ..event_decoding import decode
from ..log import Log, Page, Tail
from ..url import log_from_url

T = TypeVar("T")
E = TypeVar("E", bound=Exception)

# How long a test waits for a condition before it fails, in seconds.
PATIENCE_SECONDS = 60.0


class Suite:
    """Base of the suite's parts: implement `url`, and override the rest where the log differs."""

    partitions: ClassVar[int] = 1
    """The most partitions a log of this kind is tested with."""

    one_clock: ClassVar[bool] = False
    """Whether the events' times ascend strictly along the log, not only per writer."""

    always_there: ClassVar[bool] = False
    """Whether a log needs no creation: it exists as soon as its URL is used."""

    def url(self, partitions: int) -> str:
        """Return the URL of a new, empty log with `partitions` partitions; all processes that open it share storage."""
        raise NotImplementedError

    def log(self, url: str) -> Log:
        """Return a log, not yet opened, on the storage of `url`."""
        return log_from_url(url)

    async def trim(self, log: Log, before: Mapping[int, int]) -> None:
        """Remove the records below these offsets, as retention does."""
        await log.trim(before)

    def drive(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a test; a log that needs no loop passes with `blocking.run` as well."""
        return asyncio.run(coroutine)

    @asynccontextmanager
    async def opened(self, url: str | None = None) -> AsyncIterator[Log]:
        """Provide an open log on the storage of `url`, or on new storage."""
        log = self.log(url if url is not None else self.url(self.partitions))
        await log.open()
        try:
            yield log
        finally:
            await log.aclose()


class Caught(Generic[E]):
    """Holds the error that a `refused` block ended with."""

    error: E


@contextmanager
def refused(kind: type[E]) -> Iterator[Caught[E]]:
    """Check that the block raises an error of this kind; an error of the journal must explain itself in a sentence."""
    refusal: Caught[E] = Caught()
    try:
        yield refusal
    except kind as error:
        refusal.error = error
    else:
        raise AssertionError(f"expected {kind.__name__}, but no error was raised")
    if isinstance(refusal.error, JournalError):
        assert len(str(refusal.error).split()) > 5, f"{refusal.error!r} should say in a sentence what is wrong"


def events_of(pages: Sequence[Page]) -> list[Event]:
    """Decode the events on the pages, in order."""
    return [
        decode(row, page.partition, offset)
        for page in pages
        for offset, row in zip(page.offsets, page.rows, strict=True)
    ]


def drafts(name: str, count: int, key: str | None = None) -> list[Draft]:
    """Return `count` drafts, numbered in their contexts from 0."""
    return [draft(name, {"number": number}, key) for number in range(count)]


async def history(log: Log) -> list[Event]:
    """Return all events that a reader of the log sees now, each partition in its order."""
    bounds = await log.bounds()
    tail = await log.tail(bounds.first)
    events: list[Event] = []
    try:
        while not tail.cursor.reaches(bounds.end):
            before = tail.cursor
            page = await tail.page(timeout=PATIENCE_SECONDS)
            assert page is not None or tail.cursor != before, f"a reader at {before} never reached {bounds.end}"
            events += events_of([page]) if page is not None else []
        return events
    finally:
        await tail.aclose()


async def received(tail: Tail, count: int, partition: int | None = None) -> list[Event]:
    """Return the next `count` events of a tail; fail if they do not arrive."""
    events: list[Event] = []
    while len(events) < count:
        page = await tail.page(count - len(events), PATIENCE_SECONDS, partition)
        assert page is not None, f"waited for {count} events for {PATIENCE_SECONDS:g} s, got {len(events)}"
        events += events_of([page])
    return events


def numbers(events: Sequence[Event]) -> list[int]:
    """Return the numbers in the contexts of `drafts`."""
    return [event.context["number"] for event in events]


def identical(one: Event, other: Event) -> bool:
    """Whether two events are equal in all fields, contexts compared by their bytes."""
    return _fields(one) == _fields(other)


def _fields(event: Event) -> tuple[object, ...]:
    return (
        event.position,
        event.timestamp,
        event.name,
        bytes(event.context_json),
        event.key,
        event.writer,
        event.seq,
        event.version,
    )


def same_history(one: Sequence[Event], other: Sequence[Event]) -> bool:
    """Whether two sequences contain the same events in the same order."""
    return len(one) == len(other) and all(itertools.starmap(identical, zip(one, other, strict=True)))
