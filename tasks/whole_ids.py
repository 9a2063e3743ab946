"""Resolve what an operator typed for a task: a whole id, or the end of one as it is shown."""

from ..journal.async_journal import AsyncJournal
from .errors import ValidationError
from .index.short_ids import end_of_id, ids_for
from .inspection.wording import listing
from .limits import SHORT_ID_TASKS_SHOWN
from .lookup import task_lookup
from .state.view import TaskView


async def whole_id(journal: AsyncJournal, typed: str, view: TaskView | None = None) -> str:
    """Return the whole id of the task that `typed` stands for; `typed` itself if there is none or it is a whole id.

    `end_of_id` says what is taken for the end of one. `ValidationError` names the candidates if it matches several.
    `view`, if the caller has one, is searched instead of one made for this.
    """
    part = end_of_id(typed)
    if part is None:
        return typed
    if part == typed and (await task_lookup(journal).find(typed)).task is not None:
        return typed
    found = await ids_for(journal, part, view)
    if len(found) > 1:
        raise ValidationError(
            f"{typed!r} stands for {len(found):,} tasks: {listing(found, SHORT_ID_TASKS_SHOWN)}; give more of the id"
        )
    return found[0] if found else typed
