"""The queues and the summary: GET /queues, GET /status, and the pauses of a queue."""

from typing import Annotated, Any, cast

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter

from ...tasks.answers.acts import QueueChangeAnswer
from ...tasks.answers.overview import StatusAnswer, status_answer
from ...tasks.inspection.evidence import last_signs
from ...tasks.inspection.overview import QueueLine, overview, queue_lines, worker_lines
from ..answers import CURSOR_HEADER, spoken
from ..backend import Backend, cursor_of
from ..counted import counted
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
        raise not_found("queue", queue, seen.cursor)
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


@get("/status", opt=READING)
async def show_status(backend: NamedDependency[Backend], seen: NamedDependency[Seen]) -> Response[StatusAnswer]:
    """Summarise queues, workers, dead letters and totals, as `journeyman status --json` does."""
    signs = await last_signs(await backend.journal.open(), list(seen.view.all_sessions()))
    up_to = seen.cursor if seen.is_past else backend.cursor
    counts = await counted(seen.view, seen.at)
    return spoken(status_answer(overview(seen.view, seen.at, signs, counts)), up_to)
