"""Lists tasks, the newest submission first: from the state, or from the submissions in the log.

The state of the queue holds the tasks that wait or run, and the dead letters. Those that have ended are found in the
log, which is read backwards from its end; a page reads a bounded number of events, so it may have fewer tasks
than were asked for, or none, although there is a next page.
"""

import heapq
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from ...journal.async_journal import AsyncJournal
from ...journal.log import Log
from ...journal.row_decoder import Moment, RowDecoder
from ...tasks.answers.tasks import TaskLineAnswer, task_line
from ...tasks.index.records import rows_at
from ...tasks.labels import Labels
from ...tasks.lookup import task_lookup
from ...tasks.state import names
from ...tasks.state.state import TaskState
from ...tasks.state.transitions import State
from ...tasks.state.view import TaskView
from ..limits import LIST_EVENTS_MAX, LIST_STEP_EVENTS

# The states of the tasks that the view holds, all of them.
HELD: Final = frozenset({State.READY, State.CLAIMED, State.FAILED})
_MARK: Final = b'"task.submitted"'


class TaskFilter(NamedTuple):
    """A filter for tasks: every field that is not None must match; times in seconds since the epoch, both included."""

    name: str | None = None
    queue: str | None = None
    tag: str | None = None
    state: State | None = None
    since: float | None = None
    until: float | None = None

    def holds(self, name: str, queue: str, submitted_at: float) -> bool:
        """Whether a task of that name, queue and time matches these parts."""
        return (
            self.name in (None, name)
            and self.queue in (None, queue)
            and (self.since is None or submitted_at >= self.since)
            and (self.until is None or submitted_at <= self.until)
        )


# A task's place in the list: the time of its submission, the partition and the offset. The list descends by it.
Place = tuple[float, int, int]


class TaskPage(NamedTuple):
    """A page of the list, and where the next one begins; None if there is none."""

    tasks: list[TaskLineAnswer]
    after: Any


async def held_tasks(
    journal: AsyncJournal, view: TaskView, wanted: TaskFilter, after: Place | None, limit: int
) -> TaskPage:
    """Return a page of the tasks that the view holds."""
    tasks = _held(view, wanted, after)
    if wanted.tag is None:
        chosen = heapq.nlargest(limit + 1, tasks, key=_place)
        kept = [(task, task_line(task, Labels())) for task in chosen[:limit]]
        labels = await _labels(await journal.open(), [task for task, _ in kept])
        lines = [_labelled(line, labels.get(line.task, Labels())) for _, line in kept]
        return TaskPage(lines, _place(chosen[limit - 1]) if len(chosen) > limit else None)
    ordered = [(_place(task), task_line(task, Labels()), task) for task in sorted(tasks, key=_place, reverse=True)]
    found: list[TaskLineAnswer] = []
    for begin in range(0, len(ordered), LIST_STEP_EVENTS):
        step = ordered[begin : begin + LIST_STEP_EVENTS]
        labels = await _labels(await journal.open(), [task for _, _, task in step])
        for place, line, _ in step:
            said = labels.get(line.task, Labels())
            if wanted.tag in said.tags:
                found.append(_labelled(line, said))
                if len(found) == limit:
                    return TaskPage(found, place)
        if begin + len(step) >= LIST_EVENTS_MAX and begin + len(step) < len(ordered):
            return TaskPage(found, step[-1][0])
    return TaskPage(found, None)


def _held(view: TaskView, wanted: TaskFilter, after: Place | None) -> Iterable[TaskState]:
    if wanted.state is State.FAILED:
        tasks: Iterable[TaskState] = view.dead.values()
    else:
        tasks = (task for task in view.live.values() if task.state is wanted.state)
    return (
        task
        for task in tasks
        if wanted.holds(task.name, task.queue, task.submitted_at) and (after is None or _place(task) < after)
    )


def _place(task: TaskState) -> Place:
    return task.submitted_at, task.partition, task.submitted


async def _labels(log: Log, tasks: Iterable[TaskState]) -> dict[str, Labels]:
    """Return the labels of tasks, by id, as far as the log holds their submissions."""
    places: dict[int, list[int]] = {}
    for task in tasks:
        places.setdefault(task.partition, []).append(task.submitted)
    found: dict[str, Labels] = {}
    for partition, offsets in places.items():
        for row in (await rows_at(log, partition, sorted(offsets))).values():
            said = _decoder.read(row)
            if said is not None:
                found[said.context.task] = said.context.labels
    return found


def _labelled(line: TaskLineAnswer, labels: Labels) -> TaskLineAnswer:
    return msgspec.structs.replace(line, summary=labels.summary or None, tags=list(labels.tags))


class _Submission(msgspec.Struct):
    """What is read of the context of a submission."""

    task: str = ""
    task_name: str = ""
    queue: str = names.QUEUE_DEFAULT
    priority: int = 0
    due: float = 0.0
    summary: str = ""
    tags: tuple[str, ...] = ()

    @property
    def labels(self) -> Labels:
        return Labels(self.summary, self.tags)


class _SubmissionEvent(msgspec.Struct):
    name: str
    timestamp: Moment
    context: _Submission


_decoder: Final = RowDecoder(_SubmissionEvent)


class _Submitted(NamedTuple):
    """A submission in the log; the greatest is the one that was appended last."""

    at: float
    partition: int
    offset: int
    said: _Submission


class _Backwards:
    """Reads the submissions of one partition, the last one first, from `end` (excluded) down to `first`."""

    def __init__(self, log: Log, partition: int, first: int, end: int) -> None:
        self._log, self._partition, self._first = log, partition, first
        self.end = end  # what was taken begins here
        self._read_from = end
        self._waiting: list[_Submitted] = []

    async def peek(self) -> tuple[_Submitted | None, int]:
        """Return the last submission that was not taken, None if none is left, and how many events were read for it."""
        read = 0
        while not self._waiting and self._read_from > self._first and read < LIST_EVENTS_MAX:
            begin = max(self._first, self._read_from - LIST_STEP_EVENTS)
            self._waiting = await self._window(begin, self._read_from)
            read += self._read_from - begin
            self._read_from = begin
        if not self._waiting:
            self.end = self._read_from
        return (self._waiting[-1] if self._waiting else None), read

    def take(self) -> None:
        """Take the submission that `peek` has returned."""
        self.end = self._waiting.pop().offset

    @property
    def is_over(self) -> bool:
        """Whether none is left."""
        return not self._waiting and self._read_from <= self._first

    async def _window(self, begin: int, end: int) -> list[_Submitted]:
        found: list[_Submitted] = []
        while begin < end:
            pages = await self._log.read({self._partition: begin}, end - begin)
            if not pages:
                break
            page = pages[0]
            for offset, row in zip(page.offsets, page.rows, strict=True):
                said = _decoder.read(row) if _MARK in row and offset < end else None
                if said is not None and said.name == names.SUBMITTED and said.context.task:
                    found.append(_Submitted(said.timestamp, self._partition, offset, said.context))
            begin = page.next_offset
        return found


async def all_tasks(
    journal: AsyncJournal,
    view: TaskView,
    wanted: TaskFilter,
    end: Mapping[int, int],
    limit: int,
    *,
    as_of: Mapping[int, int] | None,
) -> TaskPage:
    """Return a page of all tasks whose submissions stand before `end`; `as_of`: in their states at that cursor."""
    log = await journal.open()
    first: dict[int, int] = dict((await log.bounds()).first)
    if wanted.since is not None:
        begin = await log.position_at(wanted.since)
        first = {each: max(first[each], begin.get(each, 0)) for each in first}
    readers = [_Backwards(log, each, first.get(each, 0), offset) for each, offset in end.items()]
    lines: list[TaskLineAnswer] = []
    read = 0
    while len(lines) < limit and read < LIST_EVENTS_MAX:
        seen: list[tuple[_Submitted, _Backwards]] = []
        for reader in readers:
            newest, count = await reader.peek()
            read += count
            if newest is not None:
                seen.append((newest, reader))
        if not seen:
            break
        newest, reader = max(seen, key=lambda each: each[0][:3])
        reader.take()
        read += 1
        line = await _line(journal, view, wanted, newest, as_of)
        if line is not None:
            lines.append(line)
    is_over = all(reader.is_over for reader in readers)
    return TaskPage(lines, None if is_over else [[each, reader.end] for each, reader in zip(end, readers, strict=True)])


async def _line(
    journal: AsyncJournal, view: TaskView, wanted: TaskFilter, found: _Submitted, as_of: Mapping[int, int] | None
) -> TaskLineAnswer | None:
    """Return the line of a submitted task; None if it does not match, or the submission was refused."""
    said = found.said
    if not wanted.holds(said.task_name, said.queue, found.at):
        return None
    if wanted.tag is not None and wanted.tag not in said.tags:
        return None
    task = view.find(said.task)
    if task is None:
        state = view.state_of(found.partition, said.task)
        if wanted.state is not None and state not in (State.UNKNOWN, wanted.state):
            return None
        task = await _looked_up(journal, said.task, as_of)
    if task is None or task.submitted != found.offset or wanted.state not in (None, task.state):
        return None
    return task_line(task, said.labels)


async def _looked_up(journal: AsyncJournal, task_id: str, as_of: Mapping[int, int] | None) -> TaskState | None:
    """Return a task that the view does not hold."""
    found, _ = await task_lookup(journal).look(task_id, until=as_of)
    return found.task
