"""Append conditionally to a topic: check, send, then read the records in between; see `condition`."""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from ..conditions import Conditions, conditions_of, key_of, only_partition
from ..errors import HistoryTruncated, JournalUnavailable
from ..event import Draft, Event
from ..limits import CURSOR_AHEAD_SECONDS_MAX
from .appender import Part
from .client_types import Record
from .condition import Condition
from .limits import (
    APPEND_SECONDS_MAX,
    CONDITION_LOOK_SECONDS,
    CONFLICT_BACKOFF_SHARE,
    DEDUPE_PRIMING_EVENTS,
    LOOKUP_STEP_EVENTS,
)
from .lookup import Lookup
from .producer import backoff
from .repeats import RepeatFilter
from .verdicts import Verdicts

Identity = tuple[str, int]


class AppendingLog(Protocol):
    """The methods of its log that a conditional append uses."""

    def partition_for(self, draft: Draft) -> int:
        """Return the partition that a draft names, or its key's."""
        ...

    def pending(self, draft: Draft) -> tuple[Part, Event] | None:
        """Return the unsettled part that contains a draft handed in before, and its event; None if there is none."""
        ...

    async def look_up(self, draft: Draft, recorded: dict[Identity, Event]) -> None:
        """Find a draft that was handed in before; one that was not written, or was refused, becomes new again."""
        ...

    def enqueue_all(self, partition: int, drafts: Sequence[Draft], size: int, condition: Condition | None) -> Part:
        """Number new drafts and queue them as one part."""
        ...

    async def settled(self, parts: Sequence[Part], drafts: Sequence[Draft]) -> None:
        """Wait for parts to be acknowledged."""
        ...

    def handed_out_at(self, partition: int, offset: int) -> bool:
        """Whether a reader of this log recently received the record at this position."""
        ...


class ConditionalAppends:
    """The conditional appends of one log."""

    def __init__(self, log: AppendingLog, lookup: Lookup) -> None:
        self._log = log
        self._lookup = lookup
        self._filters: dict[int, tuple[int, RepeatFilter]] = {}  # per partition: the offset read up to, and the filter
        self._filtering = asyncio.Lock()

    async def append(self, drafts: Sequence[Draft], size: int) -> list[Event]:
        """Append drafts of which some have a condition: all or none. Drafts already appended are looked up."""
        partition = only_partition([self._log.partition_for(draft) for draft in drafts])
        single = list({id(draft): draft for draft in drafts}.values())
        events: dict[int, Event] = {}
        await self._find_earlier(single, drafts, events)
        fresh = [draft for draft in single if id(draft) not in events]
        conditions = conditions_of(fresh)
        if conditions is not None:
            for draft, event in zip(fresh, await self._append(partition, conditions, fresh, size), strict=True):
                events[id(draft)] = event
        elif fresh:  # only drafts already appended had conditions
            part = self._log.enqueue_all(partition, fresh, size, None)
            events.update(zip(map(id, fresh), part.events, strict=True))
            await self._log.settled([part], drafts)
        return [events[id(draft)] for draft in drafts]

    async def is_refused(self, part: Part) -> bool:
        """Whether a settled part was refused."""
        if part.condition is None:
            return False
        return await Verdicts(self._lookup, part.partition).judge(part.condition, part.base)

    async def _find_earlier(
        self, drafts: Sequence[Draft], handed_in: Sequence[Draft], events: dict[int, Event]
    ) -> None:
        """Find the events of drafts that were handed in before and have been written."""
        for draft in drafts:
            while draft.seq and id(draft) not in events:
                identity, pending = (draft.writer, draft.seq), self._log.pending(draft)
                recorded: dict[Identity, Event] = {}
                if pending is None:
                    await self._log.look_up(draft, recorded)
                else:
                    part, event = pending
                    await self._log.settled([part], handed_in)
                    if not await self.is_refused(part):
                        recorded[identity] = event
                    elif (draft.writer, draft.seq) == identity:
                        draft.writer, draft.seq = "", 0
                if identity in recorded:
                    events[id(draft)] = recorded[identity]

    async def _append(self, partition: int, conditions: Conditions, drafts: Sequence[Draft], size: int) -> list[Event]:
        deadline = asyncio.get_running_loop().time() + APPEND_SECONDS_MAX
        start, attempt, last = conditions.lowest + 1, 0, dict[str, int]()
        while True:
            checked = await self._check(partition, conditions, start)
            condition = Condition(
                checked=checked, keys=tuple(conditions.keys), last=last, whole=conditions.whole is not None
            )
            part = self._log.enqueue_all(partition, drafts, size, condition)
            events, numbered = part.events, [(draft, draft.seq) for draft in drafts]
            await self._log.settled([part], drafts)
            if not await self.is_refused(part):
                return events
            for draft, seq in numbered:
                if draft.seq == seq:
                    draft.writer, draft.seq = "", 0
            if asyncio.get_running_loop().time() > deadline:
                raise JournalUnavailable(
                    f"a conditional append to partition {partition} was overtaken by other appends for "
                    f"{APPEND_SECONDS_MAX:g} s; nothing was appended. Try again."
                )
            start, attempt = checked + 1, attempt + 1
            last = await self._last_offsets(partition, conditions.keys)
            await asyncio.sleep(random.uniform(0, CONFLICT_BACKOFF_SHARE * backoff(attempt)))

    async def _check(self, partition: int, conditions: Conditions, start: int) -> int:
        """Check the records from `start` on; raise `EventConflict` or return the last offset free of conflict."""
        end = await self._end(partition, conditions)
        at = start
        while at < end:
            try:
                got = await self._lookup.read(partition, at, end, LOOKUP_STEP_EVENTS)
            except HistoryTruncated as error:
                at = error.first_offset
                continue
            for record in got.records:
                key = key_of(record.value or b"")
                if conditions.is_broken_by(record.offset, key) and await self._is_visible(partition, record):
                    raise conditions.conflict(partition, record.offset, key)
            if got.next_offset == at:
                break
            at = got.next_offset
        return end - 1

    async def _end(self, partition: int, conditions: Conditions) -> int:
        """Return the partition's end; `JournalDiverged` if a condition names an event beyond it.

        After a fail-over Kafka may for some seconds not serve the last events that it has already delivered.
        """
        deadline = time.monotonic() + CURSOR_AHEAD_SECONDS_MAX
        while True:
            end = (await self._lookup.ends([partition]))[partition]
            diverged = conditions.diverged(partition, end)
            if diverged is None:
                return end
            if time.monotonic() >= deadline:
                raise diverged
            await asyncio.sleep(CONDITION_LOOK_SECONDS)

    async def _last_offsets(self, partition: int, keys: Mapping[str, int]) -> dict[str, int]:
        """Return the keys that have a visible event at the offset expected to be their last, with that offset."""
        found: dict[str, int] = {}
        for key, offset in keys.items():
            if offset < 0:
                continue
            records = await self._lookup.stretch(partition, offset, offset + 1)
            if records and key_of(records[0].value or b"") == key and await self._is_visible(partition, records[0]):
                found[key] = offset
        return found

    async def _is_visible(self, partition: int, record: Record) -> bool:
        """Whether readers receive the record: it was not refused and is not a repeat."""
        if self._log.handed_out_at(partition, record.offset):
            return True
        if await Verdicts(self._lookup, partition).refused([record]):
            return False
        async with self._filtering:
            return not await self._is_repeat(partition, record)

    async def _is_repeat(self, partition: int, record: Record) -> bool:
        offset = record.offset
        at, repeats = self._filters.get(partition, (-1, None))
        if repeats is None or not at <= offset <= at + DEDUPE_PRIMING_EVENTS:
            at, repeats = offset, await self._lookup.primed(partition, offset)
        if at < offset:
            repeats.repeats([each.value or b"" for each in await self._lookup.stretch(partition, at, offset)])
        dropped = bool(repeats.repeats([record.value or b""]))
        self._filters[partition] = (offset + 1, repeats)
        return dropped
