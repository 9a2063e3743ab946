"""Applies the changes of jobs that listeners report: WORKING claims, COMPLETED and ERROR end, REGISTERED gives back.

The log decides: a claim names the session, an outcome the token of its claim; a report that comes too late is refused.
"""

from typing import Any, Final

import msgspec

from ...journal.errors import EventConflict
from ...journal.json_values import refuse_changed
from ...tasks.state import names
from ...tasks.state.routing import routing_key
from ...tasks.state.services import Service
from ...tasks.state.state import TaskState
from ...tasks.state.transitions import State
from ..backend import Backend
from ..problems import Problem
from ..remote.bodies import Completion, Error, Failure, Retry
from ..remote.outcomes import Report
from ..remote.workers import RemoteWorkers
from .bodies import JobChange, JobError, result_in
from .errors import refused, violated
from .jobs import STATUSES, JobReader, KnownJob
from .listeners import Listeners
from .schemas import Schemas

REGISTERED: Final = "REGISTERED"
WORKING: Final = "WORKING"
COMPLETED: Final = "COMPLETED"
ERROR: Final = "ERROR"
_STATUSES: Final = (REGISTERED, WORKING, COMPLETED, ERROR)


class JobChanges:
    """Carries out changes of jobs."""

    def __init__(self, backend: Backend, remote: RemoteWorkers, listeners: Listeners, reader: JobReader) -> None:
        self._backend = backend
        self._reports = remote.reports
        self._listeners = listeners
        self._reader = reader
        self.schemas = Schemas()

    async def apply(self, job: KnownJob, service: Service | None, change: JobChange, token: int | None) -> KnownJob:
        """Change a job, and return it as it is then. `token`: only if that is its current claim.

        `Problem` 400 for a result that does not fit the service's schema, 409 if the job does not permit the change, or
        is held by another listener.
        """
        status, result = _status_in(change), result_in(change)
        if result is not msgspec.UNSET and service is not None:
            found = self.schemas.violations(result, service.job_result_schema)
            if found:
                raise violated("the result", found)
        task = job.task
        if task is None:
            await self._same_end(job, status, result)
            return job
        self._refuse_foreign(task, token)
        present = STATUSES[task.state]
        wanted = present if status is None else status
        if wanted == REGISTERED and present == WORKING:
            await self._report(_release(task))
        elif wanted == REGISTERED:
            await self._note(task, result)
        else:
            task = await self._held(task, service, token)
            await self._hold_or_end(task, wanted, result, change.error)
        return await self._reader.find(job.place.id)

    async def _hold_or_end(self, task: TaskState, wanted: str, result: Any, error: JobError | str | None) -> None:
        """Carry out a change to WORKING, COMPLETED or ERROR of a job that is held."""
        if wanted == COMPLETED:
            if result is msgspec.UNSET:
                result = await self._reader.result(await self._backend.lookup.find(task.id))
            await self._report(Completion(worker=task.worker, task=task.id, claim=task.claim, result=result))
            return
        await self._note(task, result)
        if wanted == ERROR:
            await self._report(_failure(task, error))

    async def _held(self, task: TaskState, service: Service | None, token: int | None) -> TaskState:
        """Return a job as it is held; claim it if it waits, for a listener that does not name itself."""
        if task.state is State.READY:
            if token is not None or service is None:
                raise _stale(f"the job waits: no listener holds it, by the token {token}")
            await self._listeners.hold(service, task)
        held = self._backend.view.live.get(task.id)
        if held is None or held.state is not State.CLAIMED:
            raise _stale("the job was claimed or ended meanwhile; ask for it again")
        self._refuse_foreign(held, token)
        return held

    def _refuse_foreign(self, task: TaskState, token: int | None) -> None:
        """Refuse a change of a job that another listener holds: `Problem` 409."""
        if token is not None:
            if task.claim != token:
                now = "waits again" if task.claim < 0 else f"is held by the claim {task.claim}"
                raise _stale(f"the claim {token} holds the job no longer: the job {now}")
        elif task.state is State.CLAIMED and not self._listeners.is_ours(task):
            raise _stale(
                "a listener holds the job by a token: it alone may change the job, with the header X-Claim-Token"
            )

    async def _same_end(self, job: KnownJob, status: str | None, result: Any) -> None:
        """Accept the repetition of the change that has ended a job; `Problem` 409 for any other."""
        present = STATUSES[job.state]
        if status in (None, present):
            if result is msgspec.UNSET or (await self._reader.detail(job)).results == result:
                return
            raise _stale(f"the job is {present}: its result does not change any more")
        raise _stale(f"the job is {present}, so it does not become {status}: what has ended stays as it is")

    async def _note(self, task: TaskState, result: Any) -> None:
        """Store a result of a job that goes on, or waits; if the job has moved meanwhile `Problem` 409."""
        if result is msgspec.UNSET:
            return
        try:
            refuse_changed(result, "the result")
        except ValueError as error:
            raise refused("json-schema", f"the result cannot be stored: {error}") from None
        claim = task.claim
        while True:
            found = await self._backend.lookup.find(task.id)
            if found.task is None or found.task.claim != claim:
                raise _stale("the job was claimed or ended meanwhile; ask for it again")
            try:
                event = await self._backend.journal.append(
                    names.NOTED, {"task": task.id, "result": result}, key=routing_key(task.id), expected=found.end
                )
            except EventConflict:
                continue
            await self._backend.applied(event)
            return

    async def _report(self, report: Report) -> None:
        outcome = (await self._reports.take([report]))[0]
        if not outcome.accepted:
            raise _stale(outcome.why)


def _status_in(change: JobChange) -> str | None:
    if change.status is None:
        return None
    status = change.status.upper()
    if status not in _STATUSES:
        raise refused("deserialization", f"expected as status one of {', '.join(_STATUSES)}, got {change.status!r}")
    return status


def _release(task: TaskState) -> Retry:
    released = Error("Released", "its listener has given it back")
    return Retry(worker=task.worker, task=task.id, claim=task.claim, error=released, uses_attempt=False)


def _failure(task: TaskState, said: JobError | str | None) -> Failure:
    told = JobError(text=said) if isinstance(said, str) else said or JobError(text="its listener has reported ERROR")
    error = Error(told.name or "JobError", told.text[:2_000], told.traceback[:32_000])
    return Failure(worker=task.worker, task=task.id, claim=task.claim, error=error)


def _stale(detail: str) -> Problem:
    return Problem(409, "job-conflict", detail)
