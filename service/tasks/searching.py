"""GET /search : find a task by its id or the end of it, and queues, workers and task names that contain a text."""

from collections.abc import Iterator
from typing import Annotated

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from ...tasks.errors import ValidationError
from ...tasks.index.short_ids import shortened
from ...tasks.inspection.known_workers import KnownWorker, known_workers
from ...tasks.inspection.overview import WorkerLine
from ...tasks.limits import TASK_ID_CHARS_MAX
from ...tasks.lookup import task_lookup
from ...tasks.state.state import SessionState
from ..answers import spoken
from ..backend import Backend
from ..limits import HITS_MAX
from .parameters import READING, Seen, whole

Text = Annotated[
    str,
    QueryParameter(
        min_length=1, max_length=TASK_ID_CHARS_MAX, description="An id, the end of one, or a part of a name."
    ),
]


class Hit(msgspec.Struct, frozen=True):
    """What a text leads to: `kind` is task, queue, worker or name, a task's name; `about` says more of it."""

    kind: str
    name: str
    about: str


class HitList(msgspec.Struct, frozen=True):
    """The hits; `ambiguous` says which tasks the text stands for if it is the end of several ids."""

    hits: list[Hit]
    ambiguous: str | None = None


@get("/search", opt=READING)
async def search(backend: NamedDependency[Backend], seen: NamedDependency[Seen], text: Text) -> Response[HitList]:
    """Search for a task by its id, and for queues, workers and names of tasks that contain the text.

    A worker that has gone is found by its id or the end of it.
    """
    hits: list[Hit] = []
    ambiguous: str | None = None
    try:
        task_id = await whole(backend, text)
        found, _ = await task_lookup(backend.journal).look(task_id, until=seen.cursor if seen.is_past else None)
        if found.task is not None:
            hits.append(Hit("task", found.task.id, found.task.name))
    except ValidationError as error:
        ambiguous = str(error)
    up_to = seen.cursor if seen.is_past else backend.cursor
    others = sorted({*_named(seen, text.lower()), *_workers(seen, shortened(text))})
    if not any(kind == "worker" for kind, _, _ in others):
        others += [_gone(each) for each in await known_workers(backend.journal, text, up_to)]
    return spoken(HitList((hits + [Hit(*each) for each in others])[:HITS_MAX], ambiguous), up_to)


def _workers(seen: Seen, part: str) -> Iterator[tuple[str, str, str]]:
    """Yield the workers that are there and whose id or host contains `part`."""
    for session in seen.view.all_sessions():
        if part and (part in session.worker or part.lower() in session.host.lower()):
            yield "worker", session.worker, _where(session)


def _gone(worker: KnownWorker) -> tuple[str, str, str]:
    line, end = worker
    return "worker", line.worker, _where(line) + (f", {end.how}" if end is not None else "")


def _where(worker: SessionState | WorkerLine) -> str:
    return f"{worker.host}, process {worker.pid}"


def _named(seen: Seen, part: str) -> Iterator[tuple[str, str, str]]:
    """Yield the queues and the names of tasks that contain `part`, as the sessions and tasks name them."""
    view = seen.view
    for session in view.all_sessions():
        for name in session.tasks or ():
            if part in name.lower():
                yield "name", name, ""
        for queue in session.queues or ():
            if part in queue.lower():
                yield "queue", queue, ""
    for kind in {task.kind for tasks in (view.live, view.dead) for task in tasks.values()}:
        if part in kind.queue.lower():
            yield "queue", kind.queue, ""
        if part in kind.name.lower():
            yield "name", kind.name, ""
