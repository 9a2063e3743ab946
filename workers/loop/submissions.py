"""Find the submissions of claimed tasks: from the view's cache, or read again by position in contiguous stretches."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from ...journal.errors import HistoryTruncated
from ...journal.limits import PAGE_EVENTS
from ...tasks.amended_row import amended
from ...tasks.state.state import TaskState
from ...tasks.state.view import TaskView
from ..limits import SUBMISSION_GAP_EVENTS
from ..scheduling.ready_queue import ReadyTasks
from .reader import JournalReader

_Place = tuple[int, int]  # a partition and an offset in it


class Submissions:
    """Finds the submissions of claimed tasks, for one worker loop."""

    def __init__(self, reader: JournalReader, view: TaskView) -> None:
        self._reader = reader
        self._view = view

    async def of(self, claimed: Sequence[TaskState], ready: Iterable[ReadyTasks]) -> Sequence[bytes | None]:
        """Return the submission of each of these tasks, in their order; None for one that retention has removed.

        If any has to be read, the submissions of the next tasks of `ready` are read and kept as well: a worker that
        claims its tasks one by one reads them a page at a time.
        """
        kept = self._view.rows
        get = kept.get
        rows = [get(task.id) for task in claimed]
        if not all(rows):
            missing = [task for task, row in zip(claimed, rows, strict=True) if row is None]
            coming = [task for tasks in ready for task in islice(tasks.upcoming(), PAGE_EVENTS) if task.id not in kept]
            read = await self._read(map(_submission, missing), map(_submission, coming))
            for task in coming:
                row = read.get(_submission(task))
                if row is not None and task.id not in kept:
                    kept.keep(task.id, row)
            rows = [row or read.get(_submission(task)) for task, row in zip(claimed, rows, strict=True)]
        return await self._amended(rows, claimed)

    async def _amended(self, rows: Sequence[bytes | None], claimed: Sequence[TaskState]) -> Sequence[bytes | None]:
        """Return the submissions with the last amendment of each task, which is read from the log."""
        if not (amendments := self._view.amendments):
            return rows
        places = {task.id: (task.partition, amendments[task.id]) for task in claimed if task.id in amendments}
        read = await self._read(places.values()) if places else {}
        amends = [read.get(places[task.id]) if task.id in places else None for task in claimed]
        return [
            amended(row, amend) if row is not None and amend is not None else row
            for row, amend in zip(rows, amends, strict=True)
        ]

    async def _read(self, places: Iterable[_Place], coming: Iterable[_Place] = ()) -> Mapping[_Place, bytes]:
        """Read the records at `places`, and those of `coming` that are in the same stretches."""
        found: dict[_Place, bytes] = {}
        wanted: dict[int, set[int]] = {}
        for partition, offset in places:
            wanted.setdefault(partition, set()).add(offset)
        near = set(coming)
        for partition, offsets in wanted.items():
            also = {offset for at, offset in near if at == partition}
            for stretch in stretches(offsets | also):
                if any(offset in stretch for offset in offsets):
                    for offset, row in await self._rows(partition, stretch):
                        if offset in offsets or offset in also:
                            found[partition, offset] = row
        return found

    async def _rows(self, partition: int, stretch: range) -> list[tuple[int, bytes]]:
        """Read the records of a stretch with their offsets, as far as the log holds them."""
        rows: list[tuple[int, bytes]] = []
        offset = stretch.start
        while offset < stretch.stop:
            try:
                page = await self._reader.page_at(partition, offset, min(PAGE_EVENTS, stretch.stop - offset))
            except HistoryTruncated as error:
                if error.first_offset <= offset:
                    break
                offset = error.first_offset
                continue
            if page is None:
                break
            rows += zip(page.offsets, page.rows, strict=True)
            offset = page.next_offset
        return rows


def _submission(task: TaskState) -> _Place:
    return task.partition, task.submitted


def stretches(offsets: Iterable[int], gap: int = SUBMISSION_GAP_EVENTS) -> list[range]:
    """Group the offsets into stretches to be read, each from its first to its last, with no gap longer than `gap`."""
    found: list[range] = []
    for offset in sorted(offsets):
        if found and offset - found[-1].stop <= gap:
            found[-1] = range(found[-1].start, offset + 1)
        else:
            found.append(range(offset, offset + 1))
    return found
