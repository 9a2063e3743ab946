"""Export a journal: write its events as lines, in time order across partitions, each partition in its own order."""

import heapq
from collections.abc import AsyncIterator, Callable, Mapping
from typing import NamedTuple

from ...journal.async_journal import AsyncJournal
from ...journal.errors import UnreadableRecord
from ...journal.event import Event
from ...journal.event_decoding import readable
from ...journal.limits import CLOCK_SKEW_SECONDS_MAX
from ...journal.log import Log
from ..limits import BAD_RECORDS_TOLD_MAX, EXPORT_STEP_EVENTS
from ..topic import Topic
from .lines import encode

Progress = Callable[[int, int], None]


class ExportSelection(NamedTuple):
    """Selects events later than `since` and up to `until` (seconds since the epoch), below `topic`, of `key`."""

    since: float | None = None
    until: float | None = None
    topic: str = ""
    key: str | None = None


class Exported(NamedTuple):
    """The result of an export: `skipped` records are not events; `bad` are the first of them."""

    events: int
    looked_at: int
    skipped: int
    bad: tuple[UnreadableRecord, ...] = ()


async def export(
    journal: AsyncJournal,
    write: Callable[[bytes], object],
    selection: ExportSelection | None = None,
    *,
    skip_bad: bool = False,
    progress: Progress = lambda _done, _all: None,
) -> Exported:
    """Write a line for each event of `selection` that is in the journal at the time of the call.

    `progress(done, all)` is called with the number of events examined. A record that is not an event raises
    `UnreadableRecord` with its position; with `skip_bad` it is skipped and counted. The output is deterministic.
    """
    selection = selection or ExportSelection()
    log = await journal.open()
    begin, end = await _stretch(log, selection)
    everything = sum(end[partition] - offset for partition, offset in begin.items())
    reader = _ExportReader(log, end, skip_bad=skip_bad)
    topic = Topic(selection.topic)
    written = done = 0
    async for events in reader.in_time_order(begin):
        lines = [encode(event) for event in events if topic[event.name] and _is_meant(event, selection)]
        if lines:
            write(b"".join(lines))
        written += len(lines)
        done += len(events)
        progress(done, everything)
    return Exported(written, done + reader.skipped, reader.skipped, tuple(reader.bad))


def _is_meant(event: Event, selection: ExportSelection) -> bool:
    since, until, _, key = selection
    return (
        (since is None or event.timestamp > since)
        and (until is None or event.timestamp <= until)
        and (key is None or event.key == key)
    )


async def _stretch(log: Log, selection: ExportSelection) -> tuple[Mapping[int, int], Mapping[int, int]]:
    bounds = await log.bounds()
    if selection.since is None or selection.since <= CLOCK_SKEW_SECONDS_MAX:
        return bounds.first, bounds.end
    sought = await log.position_at(selection.since - CLOCK_SKEW_SECONDS_MAX)
    return {partition: max(offset, sought[partition]) for partition, offset in bounds.first.items()}, bounds.end


class _ExportReader:
    """Reads partitions up to their ends, step by step."""

    def __init__(self, log: Log, end: Mapping[int, int], *, skip_bad: bool) -> None:
        self.skipped = 0
        self.bad: list[UnreadableRecord] = []
        self._log = log
        self._end = end
        self._skip_bad = skip_bad

    async def in_time_order(self, begin: Mapping[int, int]) -> AsyncIterator[list[Event]]:
        """Yield all events in runs of one partition: always from the partition whose next event is the earliest."""
        offsets = dict(begin)
        waiting: dict[int, list[Event]] = {partition: [] for partition in begin}
        heads: list[tuple[float, int]] = []
        for partition in begin:
            await self._refill(partition, offsets, waiting, heads)
        while heads:
            _, partition = heapq.heappop(heads)
            events = waiting[partition]
            count = len(events)
            if heads:
                other = heads[0]
                count = next((at for at, event in enumerate(events) if (event.timestamp, partition) > other), count)
            yield events[: max(1, count)]
            waiting[partition] = events[max(1, count) :]
            await self._refill(partition, offsets, waiting, heads)

    async def _refill(
        self, partition: int, offsets: dict[int, int], waiting: dict[int, list[Event]], heads: list[tuple[float, int]]
    ) -> None:
        """Ensure that the next event of a partition has been read, unless there is none."""
        while not waiting[partition] and offsets[partition] < self._end[partition]:
            limit = min(EXPORT_STEP_EVENTS, self._end[partition] - offsets[partition])
            pages = await self._log.read({partition: offsets[partition]}, limit)
            if not pages:
                break  # the last ones are repeats, which a read leaves out
            offsets[partition] = pages[0].next_offset
            events, bad = readable(pages[0].rows, partition, pages[0].offsets, contexts=True)
            if bad and not self._skip_bad:
                raise bad[0]
            waiting[partition] = events
            self.skipped += len(bad)
            self.bad += bad[: BAD_RECORDS_TOLD_MAX - len(self.bad)]
        if waiting[partition]:
            heapq.heappush(heads, (waiting[partition][0].timestamp, partition))
