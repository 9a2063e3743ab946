"""Append events for remote workers, and read back what became of them."""

from collections.abc import Iterable, Sequence

import anyio

from ...journal.errors import AppendInDoubt
from ...journal.event import Draft, Event
from ..backend import Backend
from ..limits import REMOTE_REPEAT_SECONDS


async def append_and_apply(backend: Backend, drafts: Sequence[Draft]) -> list[Event]:
    """Append drafts, and return once the service has applied them; repeat an append while it is in doubt."""
    if not drafts:
        return []
    while True:
        try:
            events = await backend.journal.append_drafts(drafts)
            break
        except AppendInDoubt:
            await anyio.sleep(REMOTE_REPEAT_SECONDS)
    for event in _last_of_each_partition(events):
        await backend.applied(event)
    return events


def _last_of_each_partition(events: Iterable[Event]) -> Iterable[Event]:
    last: dict[int, Event] = {}
    for event in events:
        known = last.get(event.partition)
        if known is None or known.offset < event.offset:
            last[event.partition] = event
    return last.values()
