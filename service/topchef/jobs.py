"""Reads jobs for answers: their state from the view, their parameters and results from the log."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from ...journal.row_decoder import RowDecoder
from ...tasks.accounts import account_of
from ...tasks.amended_row import amended
from ...tasks.failure import NO_EXCEPTION, ExceptionFacts, exception_in
from ...tasks.index.records import rows_at
from ...tasks.lookup import Found
from ...tasks.message_encoding import decode_message
from ...tasks.results import Results
from ...tasks.state.jobs import FinishedJob, Place, finished_job, is_job_queue, place_of
from ...tasks.state.state import TaskState
from ...tasks.state.transitions import State
from ..backend import Backend
from ..limits import TOPCHEF_LISTED_JOBS
from .addresses import is_uuid, iso
from .errors import unknown

STATUSES: Final[Mapping[State, str]] = {
    State.READY: "REGISTERED",
    State.CLAIMED: "WORKING",
    State.SUCCEEDED: "COMPLETED",
    State.FAILED: "ERROR",
    State.REVOKED: "ERROR",
}
PARAMETERS: Final = "parameters"


class JobLine(msgspec.Struct):
    """A job in a list; `status` is REGISTERED, WORKING, COMPLETED or ERROR."""

    id: str
    status: str
    date_submitted: str


class JobDetail(msgspec.Struct, kw_only=True):
    """A job: `results` is null until it has one; `result`, of the older dialect, is an empty object until then.

    `error` says why it has failed; `token` and `lease_ms` are of a claim, `attempt` counts its claims.
    """

    id: str
    status: str
    date_submitted: str
    parameters: Any
    results: Any
    result: Any
    service: str
    attempt: int = 0
    error: Any = None


class KnownJob(NamedTuple):
    """A job that the view knows: alive, or finished lately."""

    place: Place
    queue: str
    state: State
    task: TaskState | None = None
    finished: FinishedJob | None = None

    @property
    def service(self) -> str:
        """The id of its service."""
        return service_in(self.queue)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.task is None

    @property
    def attempts(self) -> int:
        """How many claims of it were not given back."""
        if self.task is not None:
            return self.task.attempts
        return 0 if self.finished is None else self.finished.attempts

    def line(self) -> JobLine:
        """Return it as a line of a list."""
        return JobLine(self.place.id, STATUSES[self.state], iso(self.place.submitted_at))


class _Outcome(msgspec.Struct):
    result: Any = msgspec.UNSET
    encoded: str | None = None
    parts: int = 0


class _OutcomeEvent(msgspec.Struct):
    context: _Outcome


_outcomes: Final = RowDecoder(_OutcomeEvent)


def service_in(queue: str) -> str:
    """Return the id of the service that a queue belongs to."""
    return queue.partition(".")[2]


class JobReader:
    """Finds jobs and describes them."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._results = Results(backend.journal)

    def known(self, job: str) -> KnownJob | None:
        """Return a job that the view knows."""
        view = self._backend.view
        task = view.live.get(job)
        if task is not None and task.kind.job:
            place = place_of(task)
            return KnownJob(place, task.queue, task.state, task=task)
        finished = view.jobs.get(job)
        if finished is not None:
            return KnownJob(finished.place, finished.queue, finished.state, finished=finished)
        return None

    async def find(self, job: str) -> KnownJob:
        """Return a job, also one that only the log still knows; `Problem` 404 if there is none."""
        known = self.known(job)
        if known is not None:
            return known
        if is_uuid(job):
            task = (await self._backend.lookup.find(job)).task
            if task is not None and is_job_queue(task.queue):
                place = place_of(task)
                end = finished_job(task)
                return KnownJob(place, task.queue, task.state, finished=end)
        raise unknown("job", job, is_id=is_uuid(job))

    def of(self, queue: str, most: int = TOPCHEF_LISTED_JOBS) -> list[KnownJob]:
        """Return the jobs of a queue that were submitted last, so many at most, in that order."""
        return [job for place in self._backend.view.jobs.of(queue, most) if (job := self.known(place.id)) is not None]

    def all(self) -> list[KnownJob]:
        """Return the jobs of all services that were submitted last, in that order."""
        jobs = [job for queue in self._backend.view.jobs.queues() for job in self.of(queue)]
        jobs.sort(key=lambda job: job.place)
        return jobs[-TOPCHEF_LISTED_JOBS:]

    def unfinished(self, queue: str) -> Iterable[TaskState]:
        """Yield the jobs of a queue that have not ended, in the order of their submission."""
        live = self._backend.view.live
        for place in self._backend.view.jobs.unfinished.get(queue, ()):
            if (task := live.get(place.id)) is not None:
                yield task

    # -- details -------------------------------------------------------------------------------------------------------

    async def detail(self, job: KnownJob) -> JobDetail:
        """Describe a job."""
        return (await self.details([job]))[0]

    async def details(self, jobs: Sequence[KnownJob]) -> list[JobDetail]:
        """Describe jobs; the records of neighbours are read together."""
        wanted: dict[int, set[int]] = defaultdict(set)
        for job in jobs:
            wanted[job.place.partition] |= {job.place.submitted, *_ends(job)}
        log = await self._backend.journal.open()
        rows = {partition: await rows_at(log, partition, offsets) for partition, offsets in wanted.items()}
        return [await self._described(job, rows[job.place.partition]) for job in jobs]

    async def _described(self, job: KnownJob, rows: Mapping[int, bytes]) -> JobDetail:
        place = job.place
        found: Found | None = None
        result, error = _outcome_in(rows.get(job.finished.changed)) if job.finished else (None, NO_EXCEPTION)
        if result is msgspec.UNSET or place.id in self._backend.view.jobs.with_notes:
            found = await self._backend.lookup.find(place.id)
            result = await self.result(found)
        submission = rows.get(place.submitted)
        amendment = self._backend.view.amendments.get(place.id) if self._backend.view.amendments else None
        if amendment is not None and submission is not None:
            log = await self._backend.journal.open()
            row = (await rows_at(log, place.partition, [amendment])).get(amendment)
            submission = submission if row is None else amended(submission, row)
        return JobDetail(
            id=place.id,
            status=STATUSES[job.state],
            date_submitted=iso(place.submitted_at),
            parameters=_parameters_in(submission),
            results=result,
            result={} if result is None else result,
            service=job.service,
            attempt=job.attempts,
            error=_error(job, error),
        )

    async def result(self, found: Found) -> Any:
        """Return the result of a job that was looked up; None if it has none."""
        if found.task is None or account_of(found.trace).result_row is None:
            return None
        try:
            return (await self._results.stored(found.task.id, found)).value
        except KeyError:
            return None


def _ends(job: KnownJob) -> Iterable[int]:
    return () if job.finished is None else (job.finished.changed,)


def _outcome_in(row: bytes | None) -> tuple[Any, ExceptionFacts]:
    """Return the result in the record of an outcome and its error; `UNSET` if the result has to be looked up."""
    read = None if row is None else _outcomes.read(row)
    if read is None or read.context.result is msgspec.UNSET or read.context.parts or read.context.encoded is not None:
        return msgspec.UNSET, exception_in(row)
    return read.context.result, NO_EXCEPTION


def _parameters_in(submission: bytes | None) -> Any:
    """Return the parameters of a job; an empty object if retention has removed them, or there are none."""
    if submission is None:
        return {}
    message = decode_message(submission)
    given = message.kwargs.get(PARAMETERS, message.kwargs)
    return given if given or not message.args else message.args[0]


def _error(job: KnownJob, facts: ExceptionFacts) -> Any:
    if job.state is State.REVOKED:
        return {"name": "Revoked", "text": "the job was revoked, or has lapsed"}
    if job.state is not State.FAILED:
        return None
    text = facts.text or ("" if facts.name else "its listeners have fallen silent, its last one too")
    return {"name": facts.name or "ListenerLost", "text": text, "traceback": facts.traceback}
