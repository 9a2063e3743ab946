"""Ask about tasks: GET /tasks, and one task's state, result, history and the reason for its state."""

import time
from collections.abc import Mapping
from typing import Annotated, Any, cast

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from ...journal.cursor import Cursor
from ...tasks.accounts import account_of
from ...tasks.answers.history import HistoryAnswer, history_answer
from ...tasks.answers.tasks import ResultAnswer, TaskAnswer, TaskLineAnswer, result_answer, task_answer
from ...tasks.answers.why import WhyAnswer, why_answer
from ...tasks.errors import TaskFailedError, UnknownTaskError
from ...tasks.index.reports import last_progress
from ...tasks.inspection.as_of import ViewAsOf, cursor_at
from ...tasks.inspection.chain_reading import chain_of, may_be_in_chain
from ...tasks.inspection.evidence import gather
from ...tasks.inspection.history import TaskHistory, task_history
from ...tasks.inspection.why import explain
from ...tasks.labels import Labels
from ...tasks.lookup import Found, task_lookup
from ...tasks.progress import reported_in
from ...tasks.results import Results, is_there
from ...tasks.state.state import TaskState
from ...tasks.stored_message import stored_message
from ..answers import problem_at, spoken
from ..backend import Backend, past_of
from ..connections import unless_stopped, while_connected
from ..limits import WAIT_SECONDS_MAX
from ..problems import Problem
from .counting import StateCounts, count_tasks
from .filtering import HELD, TaskFilter
from .listing import Place, all_tasks, held_tasks
from .paging import place_in, token_of
from .parameters import (
    LIMIT_DEFAULT,
    READING,
    After,
    AnyRequest,
    AsOf,
    AtLeast,
    Limit,
    Seen,
    TaskId,
    not_found,
    whole,
)

Wait = Annotated[
    float, QueryParameter(ge=0, le=WAIT_SECONDS_MAX, description="Seconds to wait until the task has ended.")
]


class TaskList(msgspec.Struct, frozen=True):
    """Tasks, the one submitted last first. With `next` there may be more, also if this page is not full."""

    as_of: float
    tasks: list[TaskLineAnswer]
    next: str | None = None


class TaskCounts(msgspec.Struct, frozen=True):
    """How many tasks match a filter, by state. With `next` these are not all: add the counts of the next page."""

    as_of: float
    counts: StateCounts
    next: str | None = None


@get("/tasks", opt=READING)
async def list_tasks(
    backend: NamedDependency[Backend],
    seen: NamedDependency[Seen],
    wanted: NamedDependency[TaskFilter],
    cursor: After = None,
    limit: Limit = LIMIT_DEFAULT,
) -> Response[TaskList]:
    """List the tasks, the one submitted last first.

    A page reads a bounded number of events: it may have fewer tasks than `limit`, and more on the next page.
    """
    up_to = seen.cursor
    if wanted.state in HELD:
        after = None if cursor is None else place_in(cursor, Place)
        found = await held_tasks(backend.journal, seen.view, wanted, after, limit)
    else:
        before = await _begin(backend, seen, wanted, cursor)
        past = seen.cursor if seen.is_past else None
        found = await all_tasks(backend.journal, seen.view, wanted, before, limit, as_of=past)
        up_to = seen.cursor if seen.is_past else backend.cursor
    following = None if found.after is None else token_of(found.after)
    return spoken(TaskList(seen.at, found.tasks, following), up_to)


@get("/task-counts", opt=READING)
async def show_task_counts(
    backend: NamedDependency[Backend],
    seen: NamedDependency[Seen],
    wanted: NamedDependency[TaskFilter],
    cursor: After = None,
) -> Response[TaskCounts]:
    """Count the tasks that match the same filter as that of their list, by state.

    A page reads a bounded number of events; the first one has all that wait, run or are dead letters, unless the
    filter asks for a tag or an argument.
    """
    before = await _begin(backend, seen, wanted, cursor)
    past = seen.cursor if seen.is_past else None
    found = await count_tasks(backend.journal, seen.view, wanted, before, first=cursor is None, as_of=past)
    following = None if found.after is None else token_of(found.after)
    return spoken(TaskCounts(seen.at, found.counts, following), seen.cursor if seen.is_past else backend.cursor)


async def _begin(backend: Backend, seen: Seen, wanted: TaskFilter, cursor: str | None) -> Mapping[int, int]:
    """Return where a page of all tasks begins to read backwards, by partition."""
    if cursor is None:
        if wanted.until is None or wanted.until >= seen.at:
            return seen.cursor
        return await cursor_at(backend.journal, wanted.until)
    before = dict(place_in(cursor, list[tuple[int, int]]))
    if before.keys() != seen.cursor.keys() or any(offset > seen.cursor[each] for each, offset in before.items()):
        raise Problem(400, "bad-cursor", "expected as `cursor` the `next` of the page before, of the same list")
    return before


@get("/tasks/{task:str}", opt=READING)
async def show_task(
    backend: NamedDependency[Backend], task: TaskId, at_least: AtLeast = None, as_of: AsOf = None
) -> Response[TaskAnswer]:
    """Show a task: its state, how often it was tried, what it has reported of its progress, and its labels."""
    await backend.reach(at_least)
    task_id = await whole(backend, task)
    if as_of is None:
        found = await task_lookup(backend.journal).current(task_id)
        if found.task is None:
            raise not_found("task", task_id, found.end)
        return spoken(await _answer(backend, found, found.task), found.end)
    found, until, _ = await _found_at(backend, task_id, as_of)
    if found.task is None:
        raise not_found("task", task_id, until)
    return spoken(_past_answer(found, found.task), until)


async def _found_at(backend: Backend, task_id: str, as_of: str) -> tuple[Found, Cursor, float]:
    """Return a task as it was at a moment of the past, the cursor of that state, and the moment in seconds."""
    moment = past_of(as_of, "as_of", time.time())
    until = await cursor_at(backend.journal, moment)
    found, _ = await task_lookup(backend.journal).look(task_id, progress=True, until=until)
    return found, until, moment


def _past_answer(found: Found, task: TaskState) -> TaskAnswer:
    return task_answer(task, account_of(found.trace), _labels(found))


async def _answer(backend: Backend, found: Found, task: TaskState) -> TaskAnswer:
    account = account_of(found.trace)
    account.progress = reported_in(await last_progress(backend.journal, task))
    return task_answer(task, account, _labels(found))


def _labels(found: Found) -> Labels:
    message = stored_message(found)
    return Labels() if message is None else Labels(message.stored_summary, message.tags)


async def _past(backend: Backend, as_of: str) -> Cursor:
    """Return the cursor behind the events that had happened by a moment of the past."""
    return await cursor_at(backend.journal, past_of(as_of, "as_of", time.time()))


async def _history(backend: Backend, task_id: str, until: Cursor) -> TaskHistory | None:
    try:
        return await task_history(backend.journal, task_id, until=until)
    except UnknownTaskError:
        return None


@get(
    "/tasks/{task:str}/result",
    opt=READING,
    responses={202: ResponseSpec(TaskAnswer, description="The task has no result yet.", generate_examples=False)},
)
async def show_result(
    request: AnyRequest,
    backend: NamedDependency[Backend],
    task: TaskId,
    wait: Wait = 0.0,
    at_least: AtLeast = None,
    as_of: AsOf = None,
) -> Response[ResultAnswer]:
    """Return the result of a task that has succeeded, waiting for its end; 202 and its state if it has none yet.

    With `as_of` it answers at once, by what the journal held then.

    409 if it has failed or was revoked, with the exception; 404 if its result was collected, or is not kept any more.
    """
    await backend.reach(at_least)
    task_id = await whole(backend, task)
    until: Cursor | None = None
    at: float | None = None
    if as_of is None:
        found = await _ended(request, backend, task_id, wait)
    else:
        found, until, at = await _found_at(backend, task_id, as_of)
    if found.task is None:
        link = await chain_of(backend.journal, task_id, until=until)
        raise not_found("task" if link is None else "submission yet of the link", task_id, until or found.end)
    if not is_there(found):
        so_far = _past_answer(found, found.task) if until is not None else await _answer(backend, found, found.task)
        return cast("Response[ResultAnswer]", spoken(so_far, until or backend.cursor, 202))
    try:
        stored = await Results(backend.journal).stored(task_id, found, at)
    except TaskFailedError as error:
        raise problem_at(
            until or backend.cursor,
            409,
            "task-failed",
            str(error),
            task=task_id,
            exception={"name": error.name, "text": error.text, "traceback": error.traceback},
            revoked=error.revoked,
            reason=error.reason or None,
        ) from None
    except KeyError as error:
        raise problem_at(until or backend.cursor, 404, "no-result", str(error.args[0])) from None
    return spoken(result_answer(task_id, stored), until or backend.cursor)


async def _ended(request: AnyRequest, backend: Backend, task_id: str, wait: float) -> Found:
    """Return a task once it has ended, or as it is when the time is over, the client has gone, or the service stops."""
    lookup, seen = task_lookup(backend.journal), list[Found]()
    found = await lookup.current(task_id)
    if found.task is None and await chain_of(backend.journal, task_id) is None:
        return found

    async def follow() -> None:
        seen.append(await lookup.wait(task_id, is_there, wait))

    if wait and not is_there(found):
        await while_connected(request.receive, lambda: unless_stopped(backend.stopping, follow))
    return seen[0] if seen else await lookup.current(task_id)


@get("/tasks/{task:str}/history", opt=READING)
async def show_history(
    backend: NamedDependency[Backend], task: TaskId, at_least: AtLeast = None, as_of: AsOf = None
) -> Response[HistoryAnswer]:
    """Show every event of a task, the refused ones too, with its time, its worker and the verdict; and its chain."""
    await backend.reach(at_least)
    task_id = await whole(backend, task)
    until = await cursor_at(backend.journal) if as_of is None else await _past(backend, as_of)
    found, journal = await _history(backend, task_id, until), backend.journal
    in_chain = found is None or may_be_in_chain(found)
    chain = await chain_of(journal, task_id, until=until) if in_chain else None
    if found is None and chain is None:
        raise not_found("task", task_id, until)
    return spoken(history_answer(task_id, found, chain), until)


@get("/tasks/{task:str}/why", opt=READING)
async def explain_task(
    backend: NamedDependency[Backend], seen: NamedDependency[Seen], task: TaskId
) -> Response[WhyAnswer]:
    """Explain why a task is in its state: what it waits for, the worker that holds it, or how it ended."""
    task_id = await whole(backend, task)
    while True:
        view, cursor = seen.view, seen.cursor if seen.is_past else backend.cursor
        before = _version(seen, task_id)
        evidence = await gather(backend.journal, ViewAsOf(view, cursor), task_id)
        if before == _version(seen, task_id):
            break  # otherwise the view has followed an event of the task meanwhile
    findings = explain(view, task_id, seen.at, evidence)
    if findings[0].code == "unknown":
        found = msgspec.to_builtins(findings)
        raise problem_at(cursor, 404, "unknown-task", findings[0].sentence, findings=found)
    return spoken(why_answer(task_id, evidence, findings, seen.at), cursor)


def _version(seen: Seen, task_id: str) -> tuple[Any, ...]:
    """Return a value that changes with each event about the task that the view applies."""
    task = seen.view.find(task_id)
    return () if task is None else (task.changed, task.state, task.attempts, task.refused)
