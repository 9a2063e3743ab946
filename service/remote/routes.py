"""The routes of remote workers: `POST /workers/…`."""

from typing import Any

from litestar import Request, Response, Router, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from ...tasks.state.state import TaskState
from ..answers import problem_at, spoken
from ..keys import Scope
from ..limits import REMOTE_OUTCOMES_MAX
from ..presence import while_present
from ..problems import Problem
from .bodies import (
    Beat,
    Claim,
    ClaimedTasks,
    Completion,
    Failure,
    Holding,
    Join,
    Joined,
    Outcome,
    Outcomes,
    Progress,
    Retry,
)
from .outcomes import Report
from .submissions import described
from .workers import RemoteWorkers

_WORK = {"scope": Scope.WORK}
_SESSION = {"scope": Scope.WORK, "problems": (410,)}
_REPORT = {"scope": Scope.WORK, "problems": (404, 409)}


@post("/join", opt=_WORK)
async def join(
    data: JSONBody[Join],
    request: Request[Any, Any, Any],
    remote: NamedDependency[RemoteWorkers],
) -> Response[Joined]:
    """Open a session. Its id is good until the worker leaves, or is silent for longer than its lease."""
    host = request.client.host if request.client is not None else ""
    return spoken(await remote.join(data, host), remote.backend.cursor, 201)


@post("/claim", opt=_SESSION, status_code=200)
async def claim(
    data: JSONBody[Claim],
    request: Request[Any, Any, Any],
    remote: NamedDependency[RemoteWorkers],
) -> Response[ClaimedTasks]:
    """Claim tasks, waiting for some if asked to. First in log order wins, as among all workers.

    A worker sends one such request at a time, and lists in `holding` what it has not reported yet: other tasks of its
    session are handed out again, since the answer that named them was lost.
    """
    tasks: list[TaskState] = []
    async with while_present(request):
        tasks = await remote.claim(data)
    return spoken(
        ClaimedTasks(await described(remote.backend, remote.reports, tasks, data.worker)), remote.backend.cursor
    )


@post("/beat", opt=_SESSION, status_code=200)
async def beat(data: JSONBody[Beat], remote: NamedDependency[RemoteWorkers]) -> Response[Holding]:
    """Renew the lease of what the worker holds; the answer says what that is."""
    return spoken(Holding(data.worker, await remote.beat(data.worker)), remote.backend.cursor)


@post("/complete", opt=_REPORT, status_code=200)
async def complete(
    data: JSONBody[Completion | list[Completion]], remote: NamedDependency[RemoteWorkers]
) -> Response[Outcome | Outcomes]:
    """Report success, of one task or of several in one append. A report about one task that is refused answers 409."""
    return await _reported(remote, data)


@post("/fail", opt=_REPORT, status_code=200)
async def fail(
    data: JSONBody[Failure | list[Failure]], remote: NamedDependency[RemoteWorkers]
) -> Response[Outcome | Outcomes]:
    """Report that a task has failed for good: it becomes a dead letter."""
    return await _reported(remote, data)


@post("/retry", opt=_REPORT, status_code=200)
async def retry(
    data: JSONBody[Retry | list[Retry]], remote: NamedDependency[RemoteWorkers]
) -> Response[Outcome | Outcomes]:
    """Report a failed attempt: the task runs again after its backoff, unless that was its last one."""
    return await _reported(remote, data)


@post("/progress", opt={"scope": Scope.WORK, "problems": (404, 409)}, status_code=200)
async def progress(data: JSONBody[Progress], remote: NamedDependency[RemoteWorkers]) -> Response[Outcome]:
    """Report how far a task is, or a value for those who follow it; the claim must still be held."""
    outcome = await remote.reports.progress(data)
    return _accepted(remote, outcome)


@post("/leave", opt=_SESSION, status_code=200)
async def leave(data: JSONBody[Beat], remote: NamedDependency[RemoteWorkers]) -> Response[Holding]:
    """End the session: what it holds goes back to the queue at once, and no attempt is used."""
    await remote.leave(data.worker)
    return spoken(Holding(data.worker, []), remote.backend.cursor)


router = Router("/workers", route_handlers=[join, claim, beat, complete, fail, retry, progress, leave])


async def _reported(remote: RemoteWorkers, data: Report | list[Any]) -> Response[Outcome | Outcomes]:
    if not isinstance(data, list):
        outcome = (await remote.reports.take([data]))[0]
        return _accepted(remote, outcome)
    if len(data) > REMOTE_OUTCOMES_MAX:
        raise Problem(413, "too-many", f"expected at most {REMOTE_OUTCOMES_MAX} reports, got {len(data):,}")
    return spoken(Outcomes(await remote.reports.take(data)), remote.backend.cursor)


def _accepted(remote: RemoteWorkers, outcome: Outcome) -> Response[Any]:
    """Return the answer for an accepted report; `Problem` 409 for another."""
    cursor = remote.backend.cursor
    if not outcome.accepted:
        said = {"position": outcome.position, "state": outcome.state}
        raise problem_at(cursor, 409, "stale-outcome", outcome.why, **said)
    return spoken(outcome, cursor)
