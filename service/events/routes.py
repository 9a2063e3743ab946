"""GET /events follows the events of the journal, as a stream or answer by answer; POST /events appends."""

from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, JSONBody, QueryParameter

from ...journal.cursor import Cursor
from ..answers import spoken
from ..authentication import CALLER
from ..backend import cursor_of
from ..connections import Direct
from ..keys import Caller, Scope
from ..limits import IDEMPOTENCY_KEY_CHARACTERS_MAX, POLL_EVENTS, POLL_EVENTS_MAX, WAIT_SECONDS_MAX
from ..problems import Problem
from .appending import EventAppender, NewEvent, is_of_queue
from .connection import EventStream
from .forms import JSON_LINES, SERVER_SENT_EVENTS
from .hub import Hub
from .known_keys import behind
from .page import ServedEvent, served
from .poll import Events, Poll
from .selection import selection_of

_JSON: Final = "application/json"
_STREAMS: Final = {form.media_type: form for form in (SERVER_SENT_EVENTS, JSON_LINES)}
_OFFERED: Final = [_JSON, *_STREAMS]

Since = Annotated[str | None, QueryParameter(description="Only events later than this time.")]
Until = Annotated[str | None, QueryParameter(description="End at this time, or at this cursor.")]
Topic = Annotated[str, QueryParameter(description="A dotted prefix of names: `task` covers `task.claimed`.")]
Key = Annotated[str | None, QueryParameter(description="Only the events of this key.")]
Full = Annotated[bool, QueryParameter(description="History first; false: only events appended from now on.")]
WithSentinel = Annotated[bool, QueryParameter(description="Mark the end of history.")]
From = Annotated[str | None, QueryParameter(description="Go on here: the cursor of an earlier answer or event.")]
Last = Annotated[
    str | None, HeaderParameter(name="Last-Event-ID", description="As `cursor`, and before it: a browser sends it.")
]
Wait = Annotated[
    float,
    QueryParameter(ge=0, le=WAIT_SECONDS_MAX, description="Seconds to wait for an event; not for streams."),
]
Limit = Annotated[int, QueryParameter(ge=1, le=POLL_EVENTS_MAX, description="The most events; not for streams.")]


@get(
    "/events",
    opt={"scope": Scope.READ, "problems": (406, 409, 410)},
    responses={204: ResponseSpec(None, description="This reader has read all that it asked for.")},
)
async def read_events(
    request: Request[Any, Any, Any],
    hub: NamedDependency[Hub],
    topic: Topic = "",
    key: Key = None,
    since: Since = None,
    until: Until = None,
    full: Full = True,
    include_sentinel: WithSentinel = False,
    cursor: From = None,
    last_event_id: Last = None,
    wait: Wait = 0.0,
    limit: Limit = POLL_EVENTS,
) -> Response[Events]:
    """Follow events: as Server-Sent Events, as JSON Lines, or one answer at a time, as the header `Accept` says.

    `text/event-stream` and `application/x-ndjson` are streams that go on with live events. `application/json` answers
    once, with the next events and the cursor for the next request; `wait` waits for the first event.
    """
    chosen = request.accept.best_match(_OFFERED, default=None)
    if chosen is None:
        raise Problem(406, "not-acceptable", f"Accept names none of the forms of events: {', '.join(_OFFERED)}")
    selection = selection_of(
        topic=topic,
        key=key,
        since=since,
        until=until,
        full=full,
        include_sentinel=include_sentinel,
        cursor=cursor,
        last_event_id=last_event_id,
    )
    form = _STREAMS.get(chosen)
    if form is None:
        return Direct(Poll(hub, selection, limit, wait))
    return Direct(EventStream(hub, selection, form))


class Appended(msgspec.Struct):
    """The events as they were appended, with their times and positions, and the cursor behind them, for `at_least`."""

    events: list[ServedEvent]
    cursor: str


Expected = Annotated[
    str | None,
    QueryParameter(description="Append only if no event of the same key stands behind this cursor; 409 if one does."),
]
Whole = Annotated[bool, QueryParameter(description="With `expected`: only if no event at all stands behind it.")]
IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        max_length=IDEMPOTENCY_KEY_CHARACTERS_MAX,
        description="Repeated with the same key within 24 h, the request appends nothing and gets the same events.",
    ),
]


@post("/events", opt={"scope": Scope.SUBMIT, "problems": (409, 422)})
async def append_events(
    request: Request[Any, Any, Any],
    appender: NamedDependency[EventAppender],
    data: JSONBody[NewEvent | list[NewEvent]],
    expected: Expected = None,
    whole_partition: Whole = False,
    idempotency_key: IdempotencyKey = None,
) -> Response[Appended]:
    """Append one event or several: all of them or none, in one append.

    Events of the queue itself, such as `task.submitted`, need the scope `admin`: they have requests of their own.
    """
    caller: Caller = request.scope["state"][CALLER]
    given = data if isinstance(data, list) else [data]
    if (name := is_of_queue(given)) is not None and not caller.may(Scope.ADMIN):
        raise Problem(403, "forbidden", f"{name} is an event of the queue itself; only a key with the scope admin may")
    known = None if expected is None else cursor_of(expected, "expected")
    key = idempotency_key or None
    events = await appender.append(given, known, whole=whole_partition, key=key, caller=caller.name)
    await appender.answered(events)
    cursor = Cursor(behind(event.position for event in events))
    return spoken(Appended([served(event) for event in events], str(cursor)), cursor, 201)
