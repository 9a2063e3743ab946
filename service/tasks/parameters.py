"""Declares the parameters that requests about tasks and queues share, and converts them."""

import time
from collections.abc import Mapping
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from litestar import Request
from litestar.di import NamedDependency
from litestar.params import PathParameter, QueryParameter

from ...journal.cursor import Cursor
from ...tasks.acting import Attribution
from ...tasks.limits import LOCK_NAME_CHARS_MAX, TASK_ID_CHARS_MAX
from ...tasks.state.transitions import State
from ...tasks.state.view import TaskView
from ...tasks.whole_ids import whole_id
from ..answers import problem_at
from ..authentication import CALLER
from ..backend import Backend, moment_of
from ..keys import Scope
from ..limits import ARGUMENT_CHARACTERS_MAX, LIST_ITEMS, LIST_ITEMS_MAX, REASON_CHARACTERS_MAX
from ..problems import Problem
from .filtering import ArgumentFilter, TaskFilter

AtLeast = Annotated[
    str | None,
    QueryParameter(description="Answer once the service has read so far: the `Journal-Cursor` of an earlier answer."),
]
AsOf = Annotated[
    str | None,
    QueryParameter(description="The state at this moment of the past: 14:05, 10m (ago), 2026-11-21T03:10Z."),
]
Limit = Annotated[int, QueryParameter(ge=1, le=LIST_ITEMS_MAX, description="The most items to answer.")]
After = Annotated[str | None, QueryParameter(description="Go on here: `next` of the page before.")]
TaskId = Annotated[
    str,
    PathParameter(
        min_length=1,
        max_length=TASK_ID_CHARS_MAX,
        description="The id of a task, or the end of it as it is shown, such as …d59c189e.",
    ),
]
LockName = Annotated[str, PathParameter(max_length=LOCK_NAME_CHARS_MAX, description="The name of a lock.")]
TaskName = Annotated[str | None, QueryParameter(description="Only tasks of this name.")]
QueueFilter = Annotated[str | None, QueryParameter(description="Only tasks of this queue.")]
Tag = Annotated[str | None, QueryParameter(description="Only tasks with this tag.")]

StateName = Annotated[
    str | None,
    QueryParameter(
        name="state",
        pattern="^(ready|claimed|succeeded|failed|revoked)$",
        description="Only tasks in this state: ready, claimed, succeeded, failed or revoked.",
    ),
]
SubmittedSince = Annotated[str | None, QueryParameter(description="Only tasks submitted at this time or later.")]
SubmittedUntil = Annotated[str | None, QueryParameter(description="Only tasks submitted at this time or before.")]
Argument = Annotated[
    str | None,
    QueryParameter(
        max_length=ARGUMENT_CHARACTERS_MAX,
        description="Only tasks with this argument: a path and its value, `kwargs.to=ada`, or a text in the arguments.",
    ),
]
LastWorker = Annotated[
    str | None, QueryParameter(description="Only tasks that this worker has claimed last: its id, or the end of it.")
]

LIMIT_DEFAULT = LIST_ITEMS

# What the routes need, and the problems that each can answer beside the usual ones: nothing of that name, a position of
# another journal or an act in vain, and history that retention has removed.
READING: Final[Mapping[str, Any]] = {"scope": Scope.READ, "problems": (404, 409, 410)}
ACTING: Final[Mapping[str, Any]] = {"scope": Scope.ADMIN, "problems": (404, 409)}


# A request, of whatever user and state.
AnyRequest = Request[Any, Any, Any]


class Seen(NamedTuple):
    """The state that a request asks about: the view, the cursor of that state, and the moment in seconds.

    The view of the present changes while a request awaits.
    """

    view: TaskView
    cursor: Cursor
    at: float
    is_past: bool


async def see(backend: NamedDependency[Backend], at_least: AtLeast = None, as_of: AsOf = None) -> Seen:
    """Return the state that a request asks about, once the service has read as far as it names."""
    await backend.reach(at_least)
    view, cursor, moment = await backend.view_at(as_of)
    return Seen(view, cursor, moment, as_of is not None)


async def task_filter(
    name: TaskName = None,
    queue: QueueFilter = None,
    in_state: StateName = None,
    tag: Tag = None,
    argument: Argument = None,
    worker: LastWorker = None,
    since: SubmittedSince = None,
    until: SubmittedUntil = None,
) -> TaskFilter:
    """Return the filter that a request names."""
    return filter_of(
        name=name, queue=queue, state=in_state, tag=tag, argument=argument, worker=worker, since=since, until=until
    )


def filter_of(
    *,
    name: str | None,
    queue: str | None,
    state: str | None,
    tag: str | None,
    argument: str | None,
    worker: str | None,
    since: str | None,
    until: str | None,
) -> TaskFilter:
    """Return a filter by what a request says of it; `Problem` 400 for a text that is no moment."""
    now = time.time()
    return TaskFilter(
        name,
        queue,
        tag,
        None if state is None else State[state.upper()],
        None if since is None else moment_of(since, "since", now),
        None if until is None else moment_of(until, "until", now),
        ArgumentFilter.parse(argument) if argument else None,
        worker.lstrip("….") or None if worker else None,
    )


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The reason of a request; the event holds it beside the name of the caller's key."""

    reason: Annotated[str, msgspec.Meta(max_length=REASON_CHARACTERS_MAX)] | None = None


NO_REASON = Reason()


def actor(request: AnyRequest) -> str:
    """Return the name of the caller's key, as events name the actor."""
    return str(request.scope["state"][CALLER].name)


def signature(request: AnyRequest, said: Reason | None) -> dict[str, Any]:
    """Return the fields by which an event names its actor and the reason."""
    return Attribution(actor(request), said.reason if said is not None else None).fields()


async def whole(backend: Backend, task: str) -> str:
    """Return the whole id of the task that a request names."""
    return await whole_id(backend.journal, task, backend.view)


def not_found(what: str, name: str, cursor: Cursor) -> Problem:
    """Return the problem for a name that no event before `cursor` has made known."""
    return problem_at(cursor, 404, "not-found", f"the journal knows no {what} {name!r:.240}")
