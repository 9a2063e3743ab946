"""GET /events/latest reads events backwards, the one appended last first, page by page."""

import time
from collections.abc import Callable, Mapping
from typing import Annotated

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from ...consumers.topic import Topic as TopicOfNames
from ...journal.async_journal import AsyncJournal
from ...journal.cursor import Cursor
from ...journal.event import Event
from ...journal.event_decoding import readable
from ...journal.log import Page
from ...tasks.inspection.as_of import cursor_at
from ..answers import spoken
from ..backend import Backend, cursor_of, past_of
from ..backwards import BackwardsReader, take_newest
from ..keys import Scope
from ..limits import LATEST_EVENTS, LATEST_EVENTS_MAX, LIST_EVENTS_MAX
from ..problems import Problem
from .page import ServedEvent, served

Topic = Annotated[str, QueryParameter(description="A dotted prefix of names: `task` covers `task.claimed`.")]
Key = Annotated[str | None, QueryParameter(description="Only the events of this key.")]
AsOf = Annotated[str | None, QueryParameter(description="Only events that had happened by this moment of the past.")]
AtLeast = Annotated[str | None, QueryParameter(description="The `Journal-Cursor` of an earlier answer.")]
Before = Annotated[str | None, QueryParameter(description="Go on here: `next` of the page before.")]
Limit = Annotated[int, QueryParameter(ge=1, le=LATEST_EVENTS_MAX, description="The most events to answer.")]


class LatestEvents(msgspec.Struct, frozen=True):
    """Events, the one appended last first. With `next` there may be more, also if this page is not full."""

    events: list[ServedEvent]
    next: str | None = None


@get("/events/latest", opt={"scope": Scope.READ, "problems": (409, 410)})
async def read_latest(
    backend: NamedDependency[Backend],
    topic: Topic = "",
    key: Key = None,
    as_of: AsOf = None,
    at_least: AtLeast = None,
    cursor: Before = None,
    limit: Limit = LATEST_EVENTS,
) -> Response[LatestEvents]:
    """Read events backwards, the one appended last first.

    A page reads a bounded number of events: it may have fewer than `limit`, and more on the next page.
    """
    await backend.reach(at_least)
    moment = None if as_of is None else past_of(as_of, "as_of", time.time())
    end = await cursor_at(backend.journal, moment)
    begin = end if cursor is None else _place(cursor, end)
    try:
        names = TopicOfNames(topic)
    except ValueError as error:
        raise Problem(400, "bad-selection", str(error)) from None

    def holds(event: Event) -> bool:
        return names[event.name] and key in (None, event.key)

    events, before = await _latest(backend.journal, begin, holds, limit)
    following = None if before is None else str(Cursor(before))
    return spoken(LatestEvents([served(each) for each in events], following), end)


def _place(text: str, end: Cursor) -> Cursor:
    """Return where a page begins to read backwards; `Problem` 400 for what is no `next` of this journal."""
    before = cursor_of(text, "cursor")
    if before.keys() != end.keys() or any(offset > end[each] for each, offset in before.items()):
        raise Problem(400, "bad-cursor", "expected as `cursor` the `next` of the page before, of the same list")
    return before


async def _latest(
    journal: AsyncJournal, begin: Mapping[int, int], holds: Callable[[Event], bool], limit: int
) -> tuple[list[Event], dict[int, int] | None]:
    """Return at most `limit` events before `begin`, and where the next page begins; None at the end of them."""
    log = await journal.open()
    first = (await log.bounds()).first

    def select(page: Page) -> list[Event]:
        events, _ = readable(page.rows, page.partition, page.offsets)
        return [event for event in events if holds(event)]

    readers = [BackwardsReader(log, each, first.get(each, 0), offset, select) for each, offset in begin.items()]
    found: list[Event] = []
    read = 0
    while len(found) < limit and read < LIST_EVENTS_MAX:
        event, count = await take_newest(readers, lambda each: (each.timestamp, each.partition))
        read += count
        if event is None:
            break
        found.append(event)
    is_over = all(reader.is_over for reader in readers)
    return found, None if is_over else {each.partition: each.end for each in readers}
