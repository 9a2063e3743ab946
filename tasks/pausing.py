"""Pausing a queue: no worker claims anything of it until it is resumed. An event in each partition of the journal.

Which tasks may be claimed is decided partition by partition, so each of them has to say it. A worker stops as soon as
it has read the event, and a worker that starts later reads it first.
"""

from collections.abc import Mapping
from typing import Any

from ..consumers.views.as_of import as_of
from ..journal.async_journal import AsyncJournal
from ..journal.event import Draft, Event, encode_context
from .errors import ValidationError
from .state import names
from .state.view import TaskView


async def pause_queue(journal: AsyncJournal, queue: str, told: Mapping[str, Any] | None = None) -> list[Event]:
    """Pause `queue` in each partition in which it is not paused; the events, none if there is nothing to do.

    `told` is written into them beside the queue. After an error it may be paused in some partitions: calling it again
    is safe.
    """
    return await _tell(journal, names.PAUSED, queue, told or {})


async def resume_queue(journal: AsyncJournal, queue: str, told: Mapping[str, Any] | None = None) -> list[Event]:
    """Resume `queue` in each partition in which it is paused; otherwise as `pause_queue`."""
    return await _tell(journal, names.RESUMED, queue, told or {})


async def _tell(journal: AsyncJournal, name: str, queue: str, told: Mapping[str, Any]) -> list[Event]:
    if not isinstance(queue, str) or not queue:
        raise ValidationError(f"a queue is named by a text that is not empty, got {queue!r:.80}")
    log = await journal.open()
    view = await as_of(journal, TaskView, (await log.bounds()).end)
    context = encode_context(name, {"queue_name": queue, **told})
    partitions = [each for each in range(log.partitions) if view.is_paused(each, queue) != (name == names.PAUSED)]
    drafts = [Draft(name, context, partition=partition) for partition in partitions]
    return list(await journal.append_drafts(drafts)) if drafts else []
