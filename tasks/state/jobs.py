"""The jobs of services, unfinished and lately finished: a part of the state. Pure.

A job is a task in the queue of a service. The fold moves jobs like all tasks, and tells this part when a job begins to
wait, gets a note, or ends. From this the part keeps two lists for each service: its unfinished jobs, and those of its
finished jobs that were submitted last. Both are ordered by submission, so partitions may be read in any order.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from ..limits import FINISHED_JOBS_KEPT
from . import names
from .decoding import EventContext
from .part import Part
from .state import TaskState
from .transitions import State
from .verdict import Verdict


class Place(NamedTuple):
    """The place of a job among those of its service: by its submission; times in seconds since the epoch."""

    submitted_at: float
    partition: int
    submitted: int
    id: str


class FinishedJob(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A job that has ended: `changed` is the offset of the event that ended it, at the time `changed_at`."""

    id: str
    queue: str
    partition: int
    submitted: int
    submitted_at: float
    state: State
    changed: int
    changed_at: float
    attempts: int

    @property
    def place(self) -> Place:
        """Its place among the jobs of its service."""
        return Place(self.submitted_at, self.partition, self.submitted, self.id)


class _Share(msgspec.Struct, array_like=True):
    """The share of a snapshot."""

    finished: list[FinishedJob]
    with_notes: list[str]


_decoder: Final = msgspec.msgpack.Decoder(_Share)
_NONE: Final[Sequence[Place]] = ()


class Jobs(Part[str, FinishedJob, EventContext]):
    """The finished jobs by id, of each service the `FINISHED_JOBS_KEPT` that were submitted last.

    `unfinished` has the places of the others, by queue; `with_notes` are those of them to which a note was added, which
    may be a result. `on_move(queue, id)` is called whenever a job has become ready or has ended, for the requests that
    wait for it.
    """

    name = "jobs"
    events = ()
    context = EventContext
    on_move: Callable[[str, str], None] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.unfinished: dict[str, list[Place]] = {}
        self.with_notes: set[str] = set()
        self._finished: dict[str, list[Place]] = {}

    def began(self, task: TaskState) -> None:
        """Note that a job waits: it was submitted, returned to the queue, or requeued."""
        place, waiting = place_of(task), self.unfinished.setdefault(task.queue, [])
        index = bisect_left(waiting, place)
        if index == len(waiting) or waiting[index] != place:
            waiting.insert(index, place)
        if task.id in self:
            self._forget(task.queue, place)
        self._moved(task)

    def ended(self, task: TaskState) -> None:
        """Note that a job has ended, in the state of the task."""
        queue, place = task.queue, place_of(task)
        _remove(self.unfinished, queue, place)
        self.with_notes.discard(task.id)
        finished = self._finished.setdefault(queue, [])
        if task.id not in self:
            insort(finished, place)
        self[task.id] = finished_job(task)
        if len(finished) > FINISHED_JOBS_KEPT:
            del self[finished.pop(0).id]
        self._moved(task)

    def noted(self, task: TaskState) -> None:
        """Note that something was added to a task, if it is a job that has not ended."""
        if task.kind.job and task.id not in self:
            self.with_notes.add(task.id)

    def of(self, queue: str, most: int) -> Sequence[Place]:
        """Return the places of the jobs of a queue that were submitted last, so many at most, in that order."""
        return sorted([*self._finished.get(queue, _NONE)[-most:], *self.unfinished.get(queue, _NONE)[-most:]])[-most:]

    def after(self, queue: str, place: Place) -> Place | None:
        """Return the place of the job of a queue that was submitted next; None if there is none."""
        lists = (self._finished.get(queue, _NONE), self.unfinished.get(queue, _NONE))
        following = [places[index] for places in lists if (index := bisect_right(places, place)) < len(places)]
        return min(following, default=None)

    def queues(self) -> Iterable[str]:
        """Return the queues that have, or have had, jobs."""
        return dict.fromkeys((*self._finished, *self.unfinished))

    def rebuild(self, live: Iterable[TaskState]) -> None:
        """Derive the places anew, from the live tasks and the finished jobs."""
        self.unfinished, self._finished = {}, {}
        for task in live:
            if task.kind.job:
                self.unfinished.setdefault(task.queue, []).append(place_of(task))
        for job in self.values():
            self._finished.setdefault(job.queue, []).append(job.place)
        for places in (*self.unfinished.values(), *self._finished.values()):
            places.sort()

    def _forget(self, queue: str, place: Place) -> None:
        del self[place.id]
        _remove(self._finished, queue, place)

    def _moved(self, task: TaskState) -> None:
        if self.on_move is not None:
            self.on_move(task.queue, task.id)

    def apply(self, name: str, context: EventContext, partition: int, offset: int, timestamp: float) -> Verdict:
        """See `Part.apply`: it has no events of its own."""
        return Verdict.FOREIGN

    def dump(self) -> Any:
        """See `Part.dump`: the finished jobs; the others are among the live tasks."""
        return _Share(list(self.values()), sorted(self.with_notes))

    def load(self, state: msgspec.Raw, live: Mapping[str, TaskState]) -> Mapping[str, FinishedJob]:
        """See `Part.load`."""
        share = _decoder.decode(state)
        self.with_notes = set(share.with_notes)
        return {job.id: job for job in share.finished}


def is_job_queue(queue: str) -> bool:
    """Return whether a queue is that of a service."""
    return queue.startswith(names.JOB_QUEUE_PREFIX)


def finished_job(task: TaskState) -> FinishedJob:
    """Return a job that has ended, of its task."""
    return FinishedJob(
        task.id,
        task.queue,
        task.partition,
        task.submitted,
        task.submitted_at,
        task.state,
        task.changed,
        task.changed_at,
        task.attempts,
    )


def place_of(task: TaskState) -> Place:
    """Return the place of a job among those of its service."""
    return Place(task.submitted_at, task.partition, task.submitted, task.id)


def _remove(places: dict[str, list[Place]], queue: str, place: Place) -> None:
    found = places.get(queue, [])
    index = bisect_left(found, place)
    if index < len(found) and found[index] == place:
        del found[index]
