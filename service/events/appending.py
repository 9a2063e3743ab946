"""Append the events of a request: all of them or none, and once, however often the request is repeated."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final

import anyio
import msgspec

from ...consumers.checkpoints.records import CONTROL_NAMES
from ...journal.conditions import expect
from ...journal.cursor import Cursor
from ...journal.divergence import refuse_diverged
from ...journal.errors import EventConflict
from ...journal.event import Distinct, Draft, Event, encode_context
from ...journal.limits import BATCH_EVENTS_MAX
from ...journal.writer import MICROSECONDS
from ...tasks.state import names
from ..backend import Backend
from ..limits import IDEMPOTENCY_SECONDS
from ..problems import Problem
from .hub import Hub
from .known_keys import KnownKeys, Used, behind, writer_of

_QUEUE_NAMES: Final = CONTROL_NAMES.union(
    names.TASK_EVENTS,
    names.WORKER_EVENTS,
    names.QUEUE_EVENTS,
    names.LOCK_EVENTS,
    names.SCHEDULE_EVENTS,
    names.COMMAND_EVENTS,
)


class NewEvent(msgspec.Struct, forbid_unknown_fields=True):
    """An event to be appended: its name, its context, and its subject, whose events stand in one order."""

    name: str
    context: dict[str, Any] = msgspec.field(default_factory=dict)
    key: str | None = None
    version: Annotated[int, msgspec.Meta(ge=1)] = 1


class EventAppender:
    """Appends the events of requests to the journal of a service."""

    def __init__(self, backend: Backend, hub: Hub) -> None:
        self._journal = backend.journal
        self._backend = backend
        self._hub = hub
        self._locks: dict[str, anyio.Lock] = {}

    async def append(
        self, given: Sequence[NewEvent], expected: Cursor | None, *, whole: bool, key: str | None, caller: str
    ) -> list[Event]:
        """Append events in one append; if a request with this idempotency `key` was answered before, return its events.

        Raises `EventConflict` if an event of the same key, with `whole` any event, stands behind `expected`;
        `Problem` 400 for events that cannot be appended at once, 422 for a key that was used for other events.
        """
        if not given:
            raise Problem(400, "no-events", "expected at least one event")
        if len(given) > 1:
            await self._refuse_several_partitions(given)
        if expected is not None and expected.marks:
            await refuse_diverged(await self._journal.open(), expected)
        if key is None:
            return await self._append(_drafts(given), expected, whole=whole)
        writer = writer_of(caller, key)
        async with self._alone(writer):
            return await self._append_once(given, expected, whole=whole, writer=writer)

    async def answered(self, events: Sequence[Event]) -> None:
        """If these events are about tasks, wait until the view of the tasks contains them."""
        of_queue = [event for event in events if event.name in _QUEUE_NAMES]
        if of_queue:
            await self._backend.applied(of_queue[-1])

    async def _refuse_several_partitions(self, given: Sequence[NewEvent]) -> None:
        log = await self._journal.open()
        if log.partitions > 1 and len({log.partition_of(each.key) for each in given}) > 1:
            raise Problem(
                400,
                "several-partitions",
                "events that are appended all or none stand in one partition, and these keys belong to several: give "
                "them one key, or send a request for each",
            )

    async def _append(self, drafts: list[Draft], expected: Cursor | None, *, whole: bool) -> list[Event]:
        if expected is not None:
            expect(await self._journal.open(), drafts, expected, whole_partition=whole)
        return await self._journal.append_drafts(Distinct(drafts))

    # -- once --------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _alone(self, writer: str) -> AsyncIterator[None]:
        """Admit one request of this process at a time for each idempotency key."""
        lock = self._locks.setdefault(writer, anyio.Lock())
        try:
            async with lock:
                yield
        finally:
            statistics = lock.statistics()
            if not statistics.locked and not statistics.tasks_waiting and self._locks.get(writer) is lock:
                del self._locks[writer]

    async def _append_once(
        self, given: Sequence[NewEvent], expected: Cursor | None, *, whole: bool, writer: str
    ) -> list[Event]:
        known = self._hub.known_keys()
        log = await self._journal.open()
        await known.reach((await log.bounds()).end)
        while True:
            used = known.used(writer)
            if used is not None:
                return await self._repeated(used, given)
            drafts = _identified(_drafts(given), writer, timed=log.needs_loop)
            if expected is None and not log.needs_loop:
                partition = log.partition_of(given[0].key)
                _expect_no_repeat(drafts, known.read[partition] - 1)
            try:
                events = await self._append(drafts, expected, whole=whole)
            except EventConflict as error:
                await known.reach(behind([error.position]))
                if expected is not None and known.used(writer) is None:
                    raise
                continue
            return await self._first_of(known, writer, events) if log.needs_loop else events

    async def _first_of(self, known: KnownKeys, writer: str, events: list[Event]) -> list[Event]:
        """Return the events that readers get: on Kafka another process may have appended the same ones just before."""
        await known.reach(behind(event.position for event in events))
        used = known.used(writer)
        if used is None or used.offset == events[0].offset:
            return events
        return await self._events_at(used)

    async def _repeated(self, used: Used, given: Sequence[NewEvent]) -> list[Event]:
        events = await self._events_at(used)
        if [_content(draft) for draft in _drafts(given)] != [_content_of(event) for event in events]:
            raise Problem(
                422,
                "idempotency-key-reused",
                "this Idempotency-Key was used for other events; a new request takes a new key",
            )
        return events

    async def _events_at(self, used: Used) -> list[Event]:
        start = Cursor({used.partition: used.offset})
        events: list[Event] = []
        while len(events) < used.count:
            reading = await self._journal.read(start, used.count - len(events))
            if not reading.events:
                break
            events += reading.events
            start = reading.cursor
        return events


def _expect_no_repeat(drafts: Sequence[Draft], last: int) -> None:
    """Make the append conditional: it fails if an event stands behind the offset `last` that may be the same."""
    keyed = [draft for draft in drafts if draft.key is not None]
    for draft in keyed or drafts[:1]:
        draft.expected, draft.whole_partition = last, not keyed


def _drafts(given: Sequence[NewEvent]) -> list[Draft]:
    return [Draft(each.name, encode_context(each.name, each.context), each.key, version=each.version) for each in given]


def _identified(drafts: list[Draft], writer: str, *, timed: bool) -> list[Draft]:
    """Give drafts the identity that follows from an idempotency key, and rising times where a log does not set them.

    Their numbers rise from day to day, so that the key can be used again: readers of Kafka drop what repeats a number.
    """
    now = time.time()
    first = int(now / IDEMPOTENCY_SECONDS) * BATCH_EVENTS_MAX + 1
    for index, draft in enumerate(drafts):
        draft.origin = (writer, first + index)
        draft.timestamp = now + index / MICROSECONDS if timed else None
    return drafts


def _content(draft: Draft) -> tuple[str, bytes, str | None, int]:
    return draft.name, draft.context, draft.key, draft.version


def _content_of(event: Event) -> tuple[str, bytes, str | None, int]:
    return event.name, bytes(event.context_json), event.key, event.version


def is_of_queue(given: Sequence[NewEvent]) -> str | None:
    """Return the first name that belongs to the queue itself, which its own requests append; None if there is none."""
    return next((each.name for each in given if each.name in _QUEUE_NAMES), None)
