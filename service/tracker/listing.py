"""GET /requests: the requests of web servers, the active ones and those that ended last, now or as of a moment."""

import time
from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from ...consumers.views.as_of import as_of as view_as_of
from ...tasks.inspection.as_of import cursor_at
from ...top.view import Request, RequestsView
from ..answers import spoken
from ..backend import past_of
from ..keys import Scope
from ..limits import REQUESTS_LISTED, TRACKER_COMPLETED_TASKS
from .requests import TrackedRequests
from .rows import row

AsOf = Annotated[str | None, QueryParameter(description="The requests at this moment of the past.")]
AtLeast = Annotated[str | None, QueryParameter(description="The `Journal-Cursor` of an earlier answer.")]


class RequestAnswer(msgspec.Struct, frozen=True):
    """A request: the instance of the web server, its id there, and what was recorded of it."""

    instance: str
    request: str
    task: dict[str, Any]


class RequestList(msgspec.Struct, frozen=True):
    """The active requests, the oldest first, and the last ones that have ended, the newest first.

    `active_in_all` is how many are active, those included that are not listed.
    """

    as_of: float
    active: list[RequestAnswer]
    active_in_all: int
    completed: list[RequestAnswer]


@get("/requests", opt={"scope": Scope.READ, "problems": (409, 410)})
async def list_requests(
    tracked: NamedDependency[TrackedRequests], as_of: AsOf = None, at_least: AtLeast = None
) -> Response[RequestList]:
    """List the requests of web servers that the journal tracks: what runs, and what has ended last."""
    backend, now = tracked.backend, time.time()
    await backend.reach(at_least)
    if as_of is None:
        view, moment = await tracked.view(), now
        cursor = tracked.cursor
    else:
        moment = past_of(as_of, "as_of", now)
        cursor = await cursor_at(backend.journal, moment)
        view = await view_as_of(backend.journal, RequestsView, cursor)
    active = list(view.active.values())
    answer = RequestList(
        moment,
        [_answer(each) for each in active[:REQUESTS_LISTED]],
        len(active),
        [_answer(each) for each in list(view.completed)[:TRACKER_COMPLETED_TASKS]],
    )
    return spoken(answer, cursor)


def _answer(request: Request) -> RequestAnswer:
    return RequestAnswer(request.instance, request.id, row(request.task, request.id))
