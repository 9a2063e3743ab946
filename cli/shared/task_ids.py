"""Resolve the ids of tasks on the command line: whole ones, or shortened as they are shown."""

from typing import Annotated, Final

import typer

from ...journal.journal import Journal
from ...tasks.errors import ValidationError
from ...tasks.whole_ids import whole_id as find_whole_id
from .completing import acted_on, kept_tasks
from .failures import BadInput

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


def whole_id(journal: Journal, typed: str) -> str:
    """The whole id of the task that `typed` stands for, see `tasks.whole_ids`; `BadInput` if it stands for several."""
    try:
        return journal.run(find_whole_id(journal.asynchronous, typed))
    except ValidationError as error:
        raise BadInput(str(error)) from None
