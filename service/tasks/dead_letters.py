"""The dead letters: list them, show one, requeue or purge one or those that match a filter."""

import time
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from ...tasks.answers.acts import ActAnswer, acted
from ...tasks.answers.dead_letters import (
    DeadLetterAnswer,
    DeadLetterInFullAnswer,
    dead_letter_answer,
    dead_letter_in_full,
)
from ...tasks.errors import UnknownTaskError
from ...tasks.inspection.as_of import ViewAsOf
from ...tasks.inspection.dead_letters import DeadLetterFilter, dead_letters, place_of
from ...tasks.inspection.history import task_history
from ...tasks.state.transitions import State
from ..answers import problem_at, spoken
from ..backend import Backend, moment_of
from ..limits import ACTS_MAX
from ..problems import Problem
from .paging import place_in, token_of
from .parameters import (
    ACTING,
    LIMIT_DEFAULT,
    NO_REASON,
    READING,
    After,
    AnyRequest,
    AtLeast,
    Limit,
    QueueFilter,
    Reason,
    Seen,
    Tag,
    TaskId,
    TaskName,
    actor,
    not_found,
    whole,
)
from .writes import Act, act_on, read_back

ErrorText = Annotated[str | None, QueryParameter(description="Only those whose error contains this text.")]
FailedSince = Annotated[str | None, QueryParameter(description="Only those that failed at this time or later.")]
FailedUntil = Annotated[str | None, QueryParameter(description="Only those that failed at this time or before.")]


class DeadLetterList(msgspec.Struct, frozen=True):
    """The dead letters, those that failed last first; `next` is the cursor of the next page."""

    as_of: float
    dead_letters: list[DeadLetterAnswer]
    next: str | None = None


class Choice(Reason, frozen=True, forbid_unknown_fields=True):
    """The dead letters that a request acts on: the ids in `tasks`, a filter, or `all`; exactly one of the three.

    `limit` bounds their number; with `dry_run` nothing is appended.
    """

    tasks: Annotated[list[str], msgspec.Meta(max_length=ACTS_MAX)] = msgspec.field(default_factory=list)
    task: str | None = None
    queue: str | None = None
    exception: str | None = None
    tag: str | None = None
    since: str | None = None
    until: str | None = None
    all: bool = False
    limit: Annotated[int, msgspec.Meta(ge=1, le=ACTS_MAX)] = ACTS_MAX
    dry_run: bool = False


class ActList(msgspec.Struct, frozen=True):
    """What became of each dead letter, in the order of their failures; `more`: more dead letters than `limit` match.

    With `dry_run`, `would` holds the ids of those that the request would act on.
    """

    tasks: list[ActAnswer]
    would: list[str]
    more: bool


@get("/dead-letters", opt=READING)
async def list_dead_letters(
    backend: NamedDependency[Backend],
    seen: NamedDependency[Seen],
    task: TaskName = None,
    queue: QueueFilter = None,
    exception: ErrorText = None,
    tag: Tag = None,
    since: FailedSince = None,
    until: FailedUntil = None,
    cursor: After = None,
    limit: Limit = LIMIT_DEFAULT,
) -> Response[DeadLetterList]:
    """List the dead letters, tasks that have failed for good, with the errors of their last attempts."""
    wanted = _wanted(task, queue, exception, tag, since, until)
    after = None if cursor is None else place_in(cursor, tuple[float, str])
    found = await dead_letters(backend.journal, ViewAsOf(seen.view, seen.cursor), wanted, after=after, limit=limit + 1)
    following = token_of(place_of(found[limit - 1].task)) if len(found) > limit else None
    letters = [dead_letter_answer(letter) for letter in found[:limit]]
    return spoken(DeadLetterList(seen.at, letters, following), seen.cursor if seen.is_past else backend.cursor)


@get("/dead-letters/{task:str}", opt=READING)
async def show_dead_letter(
    backend: NamedDependency[Backend], seen: NamedDependency[Seen], task: TaskId
) -> Response[DeadLetterInFullAnswer]:
    """Show a dead letter: its arguments, and each attempt with its worker, its time and its error."""
    task_id, cursor = await whole(backend, task), seen.cursor if seen.is_past else backend.cursor
    try:
        history = await task_history(backend.journal, task_id, until=seen.cursor if seen.is_past else None)
    except UnknownTaskError:
        raise not_found("task", task_id, cursor) from None
    if (state := history.task.state) is not State.FAILED:
        raise problem_at(cursor, 409, "not-a-dead-letter", f"the task {task_id} is {state.name.lower()}")
    return spoken(dead_letter_in_full(history), cursor)


@post("/dead-letters/{task:str}/requeue", opt=ACTING, status_code=200)
async def requeue_dead_letter(
    request: AnyRequest,
    backend: NamedDependency[Backend],
    task: TaskId,
    data: JSONBody[Reason | None] = None,
) -> Response[ActAnswer]:
    """Let a dead letter run again, its attempts forgotten."""
    return await act_on(backend, request, task, backend.broker.requeue, (data or NO_REASON).reason)


@post("/dead-letters/{task:str}/purge", opt=ACTING, status_code=200)
async def purge_dead_letter(
    request: AnyRequest,
    backend: NamedDependency[Backend],
    task: TaskId,
    data: JSONBody[Reason | None] = None,
) -> Response[ActAnswer]:
    """Give a dead letter up for good: it cannot be requeued. Its history stays."""
    return await act_on(backend, request, task, backend.broker.purge, (data or NO_REASON).reason)


@post("/dead-letters/requeue", opt=ACTING, status_code=200)
async def requeue_dead_letters(
    request: AnyRequest, backend: NamedDependency[Backend], data: JSONBody[Choice], at_least: AtLeast = None
) -> Response[ActList]:
    """Let dead letters run again: those named, those that match, or all, in the order of their failures."""
    await backend.reach(at_least)
    return await _act(backend, data, backend.broker.requeue, actor(request))


@post("/dead-letters/purge", opt=ACTING, status_code=200)
async def purge_dead_letters(
    request: AnyRequest, backend: NamedDependency[Backend], data: JSONBody[Choice], at_least: AtLeast = None
) -> Response[ActList]:
    """Give dead letters up for good: those named, those that match, or all."""
    await backend.reach(at_least)
    return await _act(backend, data, backend.broker.purge, actor(request))


async def _act(backend: Backend, said: Choice, act: Act, by: str) -> Response[ActList]:
    chosen, more = await _chosen(backend, said)
    if said.dry_run:
        return spoken(ActList([], chosen, more), backend.cursor)
    told = [acted(task, await act(task, by=by, reason=said.reason)) for task in chosen]
    await read_back(backend)
    return spoken(ActList(told, [], more), backend.cursor)


async def _chosen(backend: Backend, said: Choice) -> tuple[list[str], bool]:
    """Return the ids of the dead letters that are meant, the oldest first, and whether there are more."""
    wanted = _wanted(said.task, said.queue, said.exception, said.tag, said.since, said.until)
    if bool(said.tasks) + (wanted != DeadLetterFilter()) + said.all != 1:
        raise Problem(
            400,
            "vague-choice",
            "expected exactly one of the three: `tasks`, a list of ids; a filter of `task`, `queue`, `exception`, "
            "`tag`, `since` and `until`; or `all`",
        )
    if said.tasks:
        ids = list(dict.fromkeys([await whole(backend, task) for task in said.tasks]))
        return ids[: said.limit], len(ids) > said.limit
    if wanted.exception is wanted.tag is None:
        letters = sorted(filter(wanted.holds, backend.view.dead.values()), key=place_of)
    else:
        found = await dead_letters(backend.journal, ViewAsOf(backend.view, backend.cursor), wanted)
        letters = [letter.task for letter in reversed(found)]
    ids = [letter.id for letter in letters]
    return ids[: said.limit], len(ids) > said.limit


def _wanted(
    task: str | None, queue: str | None, exception: str | None, tag: str | None, since: str | None, until: str | None
) -> DeadLetterFilter:
    now = time.time()
    begin = None if since is None else moment_of(since, "since", now)
    end = None if until is None else moment_of(until, "until", now)
    return DeadLetterFilter(task, queue, exception, begin, end, tag)
