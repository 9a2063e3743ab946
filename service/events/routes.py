"""GET /events: follow the events of the journal, as a stream or answer by answer."""

from typing import Annotated, Any, Final

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, QueryParameter

from ..keys import Scope
from ..limits import POLL_EVENTS, POLL_EVENTS_MAX, WAIT_SECONDS_MAX
from ..problems import Problem
from .connection import Direct, EventStream
from .forms import JSON_LINES, SERVER_SENT_EVENTS
from .hub import Hub
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


@get("/events", opt={"scope": Scope.READ, "problems": (406, 409, 410)})
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
