"""The requests about workers: GET /workers lists the live ones, GET /workers/{id} shows one, also after it has gone."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import PathParameter

from ...journal.cursor import Cursor
from ...tasks.index.short_ids import shortened
from ...tasks.inspection.evidence import last_signs
from ...tasks.inspection.known_workers import KnownWorker, WorkerEnd, known_workers
from ...tasks.inspection.overview import WorkerLine, worker_line, worker_lines
from ...tasks.state.view import TaskView
from ..answers import problem_at, spoken
from ..backend import Backend
from .paging import page_by_name
from .parameters import LIMIT_DEFAULT, READING, After, Limit, Seen

WorkerId = Annotated[str, PathParameter(description="The id of a worker, or the end of it.")]


class HeldTask(msgspec.Struct, frozen=True):
    """A task that a worker holds; `since` is when it claimed the task, in seconds since the epoch."""

    task: str
    name: str
    queue: str
    since: float


class WorkerAnswer(WorkerLine, frozen=True):
    """A worker and the tasks that it holds, also those that it has claimed and not begun; `end` if it has gone."""

    holds: list[HeldTask]
    end: WorkerEnd | None = None


class WorkerList(msgspec.Struct, frozen=True):
    """The live workers, sorted by id; `as_of` is in seconds since the epoch, `next` is the cursor of the next page."""

    as_of: float
    workers: list[WorkerLine]
    next: str | None = None


@get("/workers", opt=READING)
async def list_workers(
    backend: NamedDependency[Backend],
    seen: NamedDependency[Seen],
    cursor: After = None,
    limit: Limit = LIMIT_DEFAULT,
) -> Response[WorkerList]:
    """List the live workers, sorted by id: where they run, what they serve and hold, and their last sign of life."""
    signs = await last_signs(await backend.journal.open(), list(seen.view.all_sessions()))
    lines = sorted(worker_lines(seen.view, seen.at, signs), key=lambda line: line.worker)
    return spoken(WorkerList(seen.at, *page_by_name(lines, lambda line: line.worker, cursor, limit)), seen.cursor)


@get("/workers/{worker:str}", opt=READING)
async def show_worker(
    backend: NamedDependency[Backend], seen: NamedDependency[Seen], worker: WorkerId
) -> Response[WorkerAnswer]:
    """Show one worker with the tasks that it holds; if it has left or was expired, how and when.

    404 if the log has no such worker, or retention has removed its events; 409 if the ids of several workers end so.
    """
    up_to = seen.cursor if seen.is_past else backend.cursor
    name = _whole_worker(seen.view, worker, up_to)
    if name is None:
        gone = await _gone_worker(backend, worker, up_to)
        return spoken(WorkerAnswer(**msgspec.structs.asdict(gone.line), holds=[], end=gone.end), up_to)
    sessions = [session for session in seen.view.all_sessions() if session.worker == name]
    signs = await last_signs(await backend.journal.open(), sessions)
    line = worker_line(sessions, seen.at, signs.get(name))  # of these sessions, also if they have ended meanwhile
    holds = [
        HeldTask(task.id, task.name, task.queue, task.changed_at)
        for session in sessions
        for task in session.claims.values()
    ]
    return spoken(WorkerAnswer(**msgspec.structs.asdict(line), holds=holds), up_to)


def _whole_worker(view: TaskView, typed: str, up_to: Cursor) -> str | None:
    """Return the live worker's id that is `typed` or ends with it; None for none, `Problem` 409 for several."""
    known = {session.worker for session in view.all_sessions()}
    if typed in known:
        return typed
    end = shortened(typed)
    return _only([each for each in known if end and each.endswith(end)], typed, up_to)


async def _gone_worker(backend: Backend, typed: str, up_to: Cursor) -> KnownWorker:
    """Return the worker whose id is `typed` or ends with it, as it was before `up_to`; `Problem` 404 or 409."""
    gone = {each.line.worker: each for each in await known_workers(backend.journal, typed, up_to)}
    name = _only(list(gone), typed, up_to)
    if name is None:
        raise problem_at(
            up_to,
            404,
            "not-found",
            f"the journal knows no worker {typed!r:.240} at this moment: none has joined under this id, or retention "
            "has removed its events, or it is the id of a service, which is not a worker. GET /workers lists the live "
            "workers, GET /events?topic=worker the events of all workers",
        )
    return gone[name]


def _only(found: Sequence[str], typed: str, up_to: Cursor) -> str | None:
    if len(found) > 1:
        detail = f"the ids of {len(found)} workers end with {typed!r:.240}; give more of the id"
        raise problem_at(up_to, 409, "ambiguous", detail)
    return found[0] if found else None
