"""Resolve what an operator typed for a task: a whole id, or the end of one as it is shown."""

from typing import Final

from ..journal.async_journal import AsyncJournal
from .errors import ValidationError
from .index.short_ids import ids_for, shortened
from .inspection.wording import listing
from .limits import BARE_ID_CHARS_MIN, SHORT_ID_CHARS_MIN, SHORT_ID_TASKS_SHOWN, UUID_CHARS
from .lookup import task_lookup
from .state.view import TaskView

_DIGITS: Final = frozenset("0123456789abcdef-")


async def whole_id(journal: AsyncJournal, typed: str, view: TaskView | None = None) -> str:
    """Return the whole id of the task that `typed` stands for; `typed` itself if there is none or it is a whole id.

    Without leading dots only digits of a UUID, or a text as long as a short id, is taken for the end of an id: a
    mistyped id of the caller's own must not match another task. `ValidationError` names the candidates if it matches
    several. `view`, if the caller has one, is searched instead of one made for this.
    """
    part = shortened(typed)
    if not part or len(typed) >= UUID_CHARS or len(part) < _least(typed, part):
        return typed
    if part == typed and (await task_lookup(journal).find(typed)).task is not None:
        return typed
    found = await ids_for(journal, part, view)
    if len(found) > 1:
        raise ValidationError(
            f"{typed!r} stands for {len(found):,} tasks: {listing(found, SHORT_ID_TASKS_SHOWN)}; give more of the id"
        )
    return found[0] if found else typed


def _least(typed: str, part: str) -> int:
    """The least length at which `typed` is taken for the end of an id."""
    return SHORT_ID_CHARS_MIN if part != typed or set(part.lower()) <= _DIGITS else BARE_ID_CHARS_MIN
