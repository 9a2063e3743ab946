"""Resolve the ids of tasks on the command line: whole ones, or shortened as they are shown."""

from typing import Annotated, Final

import typer

from ...journal.journal import Journal
from ...tasks.index.short_ids import ids_for, shortened
from ...tasks.inspection.wording import listing
from ...tasks.lookup import task_lookup
from ..limits import BARE_ID_CHARS_MIN, SHORT_ID_CHARS_MIN, SHORT_ID_TASKS_SHOWN
from .completing import acted_on, kept_tasks
from .failures import BadInput

_UUID_CHARS: Final = 36
_DIGITS: Final = frozenset("0123456789abcdef-")
_HELP: Final = "The id of a task: the uuid of its message, or the end of it as it is shown, such as …d59c189e."

TaskId = Annotated[str, typer.Argument(metavar="TASK", help=_HELP, show_default=False, autocompletion=kept_tasks)]
SomeTaskIds = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TASK…]",
        help="The ids of tasks: the uuids of their messages, or their ends as they are shown, such as …d59c189e.",
        show_default=False,
        autocompletion=acted_on,
    ),
]


def _least(typed: str, part: str) -> int:
    """The least length at which `typed` is taken for the end of an id."""
    return SHORT_ID_CHARS_MIN if part != typed or set(part.lower()) <= _DIGITS else BARE_ID_CHARS_MIN


def whole_id(journal: Journal, typed: str) -> str:
    """The whole id of the task that `typed` stands for; `typed` itself if there is none or it is a whole id.

    Without leading dots only digits of a UUID, or a text as long as a short id, is taken for the end of an id: a
    mistyped id of the caller's own must not match another task. `BadInput` names the candidates if it matches several.
    """
    part = shortened(typed)
    if not part or len(typed) >= _UUID_CHARS or len(part) < _least(typed, part):
        return typed
    if part == typed and journal.run(task_lookup(journal.asynchronous).find(typed)).task is not None:
        return typed
    found = journal.run(ids_for(journal.asynchronous, part))
    if len(found) > 1:
        raise BadInput(
            f"{typed!r} stands for {len(found):,} tasks: {listing(found, SHORT_ID_TASKS_SHOWN)}; give more of the id"
        )
    return found[0] if found else typed
