"""The queues and the workers: GET /queues, GET /workers, GET /status, and the pauses of a queue."""

from typing import Annotated, Any, cast

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter

from ...tasks.answers.acts import QueueChangeAnswer
from ...tasks.answers.overview import StatusAnswer, status_answer
from ...tasks.inspection.evidence import last_signs
from ...tasks.inspection.overview import QueueLine, WorkerLine, overview, queue_lines, worker_lines
from ...tasks.state.state import SessionState
from ...tasks.state.view import TaskView
from ..answers import CURSOR_HEADER, spoken
from ..backend import Backend, cursor_of
from ..counted import counted
from ..problems import Problem
from .paging import page_by_name
from .parameters import (
    ACTING,
    LIMIT_DEFAULT,
    READING,
    After,
    AnyRequest,
    AsOf,
    AtLeast,
    Limit,
    Reason,
    Seen,
    actor,
    not_found,
)
from .summaries import QueueList, Summaries, queue_list
from .writes import read_back

QueueName = Annotated[str, PathParameter(description="The name of a queue.")]
WorkerId = Annotated[str, PathParameter(description="The id of a worker, or the end of it.")]


class HeldTask(msgspec.Struct, frozen=True):
    """A task that a worker holds, since a time in seconds since the epoch."""

    task: str
    name: str
    queue: str
    since: float


class WorkerAnswer(WorkerLine, frozen=True):
    """A worker, and the tasks that it holds, those that it has claimed ahead included."""

    holds: list[HeldTask]


class WorkerList(msgspec.Struct, frozen=True):
    """The workers by id, as of a moment in seconds since the epoch; `next` is the cursor of the next page."""

    as_of: float
    workers: list[WorkerLine]
    next: str | None = None


@get("/queues", opt=READING)
async def list_queues(
    summaries: NamedDependency[Summaries],  # alone: Litestar provides two dependencies by a task each
    at_least: AtLeast = None,
    as_of: AsOf = None,
    cursor: After = None,
    limit: Limit = LIMIT_DEFAULT,
) -> Response[QueueList]:
    """List the queues by name: their tasks by state, how long the oldest has been ready, and their workers."""
    backend = summaries.backend
    if at_least is not None:
        await backend.reach(at_least)
    if as_of is cursor is None and limit == LIMIT_DEFAULT:
        said = await summaries.queues(None if at_least is None else cursor_of(at_least, "at_least"))
        return Response(cast("Any", said.body), headers={CURSOR_HEADER: said.header}, media_type="application/json")
    view, up_to, at = await backend.view_at(as_of)
    return spoken(await queue_list(view, at, cursor, limit), up_to)


@get("/queues/{queue:str}", opt=READING)
async def show_queue(seen: NamedDependency[Seen], queue: QueueName) -> Response[QueueLine]:
    """Show one queue; 404 if no task, worker or pause names it."""
    lines = queue_lines(seen.view, await counted(seen.view, seen.at), worker_lines(seen.view, seen.at))
    found = next((line for line in lines if line.name == queue), None)
    if found is None:
        raise not_found("queue", queue)
    return spoken(found, seen.cursor)


@post("/queues/{queue:str}/pause", opt=ACTING, status_code=200)
async def pause_queue(
    request: AnyRequest,
    backend: NamedDependency[Backend],
    queue: QueueName,
    data: JSONBody[Reason | None] = None,
) -> Response[QueueChangeAnswer]:
    """Pause a queue: no worker claims its tasks until it is resumed; running tasks go on."""
    changed = await backend.broker.pause(queue, by=actor(request), reason=data.reason if data else None)
    return await _changed(backend, QueueChangeAnswer(queue, paused=True, changed=changed))


@post("/queues/{queue:str}/resume", opt=ACTING, status_code=200)
async def resume_queue(
    request: AnyRequest,
    backend: NamedDependency[Backend],
    queue: QueueName,
    data: JSONBody[Reason | None] = None,
) -> Response[QueueChangeAnswer]:
    """Resume a paused queue: workers claim its tasks again."""
    changed = await backend.broker.resume(queue, by=actor(request), reason=data.reason if data else None)
    return await _changed(backend, QueueChangeAnswer(queue, paused=False, changed=changed))


async def _changed(backend: Backend, answer: QueueChangeAnswer) -> Response[QueueChangeAnswer]:
    await read_back(backend)
    return spoken(answer, backend.cursor)


@get("/workers", opt=READING)
async def list_workers(
    backend: NamedDependency[Backend],
    seen: NamedDependency[Seen],
    cursor: After = None,
    limit: Limit = LIMIT_DEFAULT,
) -> Response[WorkerList]:
    """List the workers by id: where they run, what they serve and hold, and their last sign of life."""
    lines = sorted(await _lines(backend, seen), key=lambda line: line.worker)
    return spoken(WorkerList(seen.at, *page_by_name(lines, lambda line: line.worker, cursor, limit)), seen.cursor)


@get("/workers/{worker:str}", opt=READING)
async def show_worker(
    backend: NamedDependency[Backend], seen: NamedDependency[Seen], worker: WorkerId
) -> Response[WorkerAnswer]:
    """Show one worker, with the tasks that it holds; 404 if it has left, or was expired."""
    name = _whole_worker(seen.view, worker)
    holds = [
        HeldTask(task.id, task.name, task.queue, task.changed_at)
        for session in seen.view.all_sessions()
        if session.worker == name
        for task in session.claims.values()
    ]
    line = next((line for line in await _lines(backend, seen, only=name) if line.worker == name), None)
    if line is None:
        raise not_found("worker", worker)
    return spoken(WorkerAnswer(**msgspec.structs.asdict(line), holds=holds), seen.cursor)


def _whole_worker(view: TaskView, typed: str) -> str:
    """Return the id of the worker that an id, or the end of one, names; `Problem` 404 for none, 409 for several."""
    known = {session.worker for session in view.all_sessions()}
    end = typed.lstrip("….")
    found = sorted(each for each in known if each == typed or (end and each.endswith(end)))
    if typed in found:
        return typed
    if len(found) > 1:
        raise Problem(409, "ambiguous", f"{typed!r:.240} stands for {len(found)} workers; give more of the id")
    if not found:
        raise not_found("worker", typed)
    return found[0]


async def _lines(backend: Backend, seen: Seen, only: str | None = None) -> list[WorkerLine]:
    sessions: list[SessionState] = [each for each in seen.view.all_sessions() if only in (None, each.worker)]
    signs = await last_signs(await backend.journal.open(), sessions)
    return worker_lines(seen.view, seen.at, signs)


@get("/status", opt=READING)
async def show_status(backend: NamedDependency[Backend], seen: NamedDependency[Seen]) -> Response[StatusAnswer]:
    """Summarise queues, workers, dead letters and totals, as `journeyman status --json` does."""
    signs = await last_signs(await backend.journal.open(), list(seen.view.all_sessions()))
    up_to = seen.cursor if seen.is_past else backend.cursor
    counts = await counted(seen.view, seen.at)
    return spoken(status_answer(overview(seen.view, seen.at, signs, counts)), up_to)
