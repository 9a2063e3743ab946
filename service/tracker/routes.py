"""`/tracker`: the requests of the journal, as viewers of the Top Framework ask for them; and their recording.

The key comes in the query, `api-key`, since such viewers can send nothing else: any key with the scope `read`, or with
`submit` to record. A service without keys takes any of 16 characters or more.
"""

from collections.abc import Awaitable, Callable, Mapping
from itertools import islice
from typing import Annotated, Any, Final

from litestar import MediaType, Request, Response, route
from litestar.di import NamedDependency
from litestar.exceptions import SerializationException
from litestar.params import FromQuery, QueryParameter

from ...journal.event import Draft, Event, encode_context
from ...tasks.state.transitions import State
from ...top.errors import InvalidTask
from ...top.http_task import HTTPTask
from ...top.names import ENDED, STARTED, SWEPT
from ...top.timestamps import now
from ..backend import Backend
from ..keys import LOCAL, Caller, Keyring, Scope
from ..limits import KEY_CHARACTERS_MIN, TRACKER_COMPLETED_TASKS, TRACKER_TASKS_MAX
from ..problems import Problem
from .requests import TrackedRequests
from .rows import row, task_row

Answer = Response[Any]
Key = Annotated[str | None, QueryParameter(name="api-key", required=False)]
_TEXT: Final = MediaType.TEXT


@route(
    "/tracker",
    http_method=["GET", "POST"],
    opt={"scope": None, "problems": (405,)},
    status_code=200,
    include_in_schema=False,  # the form of another system: plain text for errors
)
async def track(
    request: Request[Any, Any, Any],
    tracked: NamedDependency[TrackedRequests],
    key: Key = None,
    action: FromQuery[str | None] = None,
    tasks: FromQuery[str | None] = None,
) -> Answer:
    """Answer with the active requests, as an object by id, or the completed ones, the newest first; or record some."""
    if key is None:
        return _refused(403, "api-key parameter missing")
    caller = _caller(tracked.keyring, key)
    is_reading = request.method == "GET"
    if caller is None or not caller.may(Scope.READ if is_reading else Scope.SUBMIT):
        return _refused(403, "api-key is not known, or does not permit this")
    if action is None:
        return _refused(400, "action parameter missing")
    if is_reading:
        return await _read(tracked, action, with_tasks=tasks not in (None, "", "0"))
    return await _write(request, tracked, caller, action)


async def _write(request: Request[Any, Any, Any], tracked: TrackedRequests, caller: Caller, action: str) -> Answer:
    record = _RECORDS.get(action)
    if record is None:
        return _refused(400, f"Invalid action parameter; expected one of {', '.join(_RECORDS)}")
    try:
        body = await _body(request)
    except (SerializationException, Problem) as error:
        return _refused(400, f"the body is not JSON that can be read: {error}")
    return await record(tracked.backend, tracked, caller, body)


def _caller(keyring: Keyring, key: str) -> Caller | None:
    if keyring.is_open:
        return LOCAL if len(key) >= KEY_CHARACTERS_MIN else None
    return keyring.caller(key)


def _refused(status: int, sentence: str) -> Answer:
    return Response(sentence, status_code=status, media_type=_TEXT)


# -- reading -----------------------------------------------------------------------------------------------------------


async def _read(tracked: TrackedRequests, action: str, *, with_tasks: bool) -> Answer:
    if action == "active-tasks":
        return Response(await _active(tracked, with_tasks=with_tasks))
    if action == "completed-tasks":
        return Response(await _completed(tracked, with_tasks=with_tasks))
    return _refused(400, "Invalid action parameter; expected active-tasks or completed-tasks")


async def _active(tracked: TrackedRequests, *, with_tasks: bool) -> dict[str, Any]:
    view = await tracked.view()
    rows = {f"{each.instance}/{each.id}": row(each.task, each.id) for each in view.requests()}
    if with_tasks:
        claimed = (task for task in tracked.tasks().live.values() if task.state is State.CLAIMED)
        rows |= {task.id: task_row(task) for task in claimed}
    return rows


async def _completed(tracked: TrackedRequests, *, with_tasks: bool) -> list[dict[str, Any]]:
    view = await tracked.view()
    rows = [row(each.task, each.id) for each in list(view.completed)[:TRACKER_COMPLETED_TASKS]]
    if with_tasks:
        queue = tracked.tasks()
        rows += [
            task_row(task) for task in (*tracked.ended, *islice(reversed(queue.dead.values()), TRACKER_COMPLETED_TASKS))
        ]
        rows.sort(key=lambda each: str(each.get("ended_at", "")), reverse=True)
    return rows[:TRACKER_COMPLETED_TASKS]


# -- recording ---------------------------------------------------------------------------------------------------------


async def _body(request: Request[Any, Any, Any]) -> Any:
    return await request.json() if int(request.headers.get("content-length", "0")) else []


async def _start(backend: Backend, tracked: TrackedRequests, caller: Caller, body: Any) -> Answer:
    return await _record(backend, tracked, caller, STARTED, body)


async def _end(backend: Backend, tracked: TrackedRequests, caller: Caller, body: Any) -> Answer:
    return await _record(backend, tracked, caller, ENDED, body)


async def _record(backend: Backend, tracked: TrackedRequests, caller: Caller, name: str, body: Any) -> Answer:
    given = body if isinstance(body, list) else [body]
    if len(given) > TRACKER_TASKS_MAX:
        return _refused(413, f"expected at most {TRACKER_TASKS_MAX} tasks, got {len(given):,}")
    try:
        drafts = [_draft(name, caller, HTTPTask.from_dict(each)) for each in given]
    except InvalidTask as error:
        return _refused(400, str(error))
    events = await backend.journal.append_drafts(drafts) if drafts else []
    return await _written(tracked, events)


def _draft(name: str, caller: Caller, task: HTTPTask) -> Draft:
    if task.task_id is None:
        raise InvalidTask("task_id is missing: it is a number or text")
    fields = {field: value for field, value in task.to_dict().items() if value is not None}
    context = {"instance": caller.name, "request": str(task.task_id), "task": fields}
    return Draft(name, encode_context(name, context), caller.name)


async def _clear(backend: Backend, tracked: TrackedRequests, caller: Caller, _body: Any) -> Answer:
    context = {"instance": caller.name, "at": now().isoformat()}
    return await _written(tracked, [await backend.journal.append(SWEPT, context, key=caller.name)])


async def _written(tracked: TrackedRequests, events: list[Event]) -> Answer:
    if events:
        await tracked.applied(events[-1])
    return Response({"recorded": len(events)})


_RECORDS: Final[Mapping[str, Callable[[Backend, TrackedRequests, Caller, Any], Awaitable[Answer]]]] = {
    "start-task": _start,
    "end-task": _end,
    "clear": _clear,
}
