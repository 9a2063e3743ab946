"""Pause a queue, so that no worker claims its tasks until it is resumed, by an event in each partition.

Claims are decided partition by partition, so each of them needs the event. A worker stops claiming as soon as it has
read the event; a worker that starts later reads it first.
"""

from collections.abc import Mapping
from typing import Any

from ..consumers.views.as_of import as_of
from ..journal.async_journal import AsyncJournal
from ..journal.event import Draft, Event, encode_context
from .errors import ValidationError
from .state import names
from .state.view import TaskView


async def pause_queue(journal: AsyncJournal, queue: str, signature: Mapping[str, Any] | None = None) -> list[Event]:
    """Pause `queue` in each partition in which it is not paused; return the events, none if there is nothing to do.

    The fields of `signature` are written into them beside the queue. After an error the queue may be paused in some
    partitions: calling this again is safe.
    """
    return await _append_to_all(journal, names.PAUSED, queue, signature or {})


async def resume_queue(journal: AsyncJournal, queue: str, signature: Mapping[str, Any] | None = None) -> list[Event]:
    """Resume `queue` in each partition in which it is paused; otherwise as `pause_queue`."""
    return await _append_to_all(journal, names.RESUMED, queue, signature or {})


async def _append_to_all(journal: AsyncJournal, name: str, queue: str, signature: Mapping[str, Any]) -> list[Event]:
    if not isinstance(queue, str) or not queue:
        raise ValidationError(f"the name of a queue must be text that is not empty, got {queue!r:.80}")
    log = await journal.open()
    view = await as_of(journal, TaskView, (await log.bounds()).end)
    context = encode_context(name, {"queue_name": queue, **signature})
    partitions = [each for each in range(log.partitions) if view.is_paused(each, queue) != (name == names.PAUSED)]
    drafts = [Draft(name, context, partition=partition) for partition in partitions]
    return list(await journal.append_drafts(drafts)) if drafts else []
