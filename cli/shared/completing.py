"""Shell completions that need the journal: ids of tasks and dead letters, names of queues.

The user waits for them while typing. So they come from the state alone, within `COMPLETION_SECONDS_MAX`; where the
journal cannot be read there are none: no message, no traceback, no journal created.
"""

import os
import signal
from collections.abc import Callable, Iterable, MutableMapping
from typing import Final

import typer

from ...tasks.inspection.as_of import view_as_of
from ...tasks.state.state import TaskState
from ...tasks.state.view import TaskView
from ..limits import COMPLETION_SECONDS_MAX, COMPLETIONS_MAX
from .opening import existing_journal

_DIVIDERS: Final = frozenset(":=")


def kept_tasks(ctx: typer.Context, incomplete: str) -> list[str]:
    """The ids of tasks that wait, run or are dead letters, the newest first."""
    return _from_view(ctx, incomplete, lambda view: _newest([*view.live.values(), *view.dead.values()]))


def acted_on(ctx: typer.Context, incomplete: str) -> list[str]:
    """The ids of tasks on which the command can act, the newest first: waiting or running ones, or dead letters."""
    revoking = ctx.info_name == "revoke"
    return _from_view(ctx, incomplete, lambda view: _newest((view.live if revoking else view.dead).values()))


def queues(ctx: typer.Context, incomplete: str) -> list[str]:
    """The names of queues that hold tasks, are paused, or are named by a worker."""
    return _from_view(ctx, incomplete, lambda view: sorted(queues_in_use(view) | _paused(view)))


def _newest(tasks: Iterable[TaskState]) -> list[str]:
    return [task.id for task in sorted(tasks, key=lambda task: task.submitted_at, reverse=True)]


def queues_in_use(view: TaskView) -> set[str]:
    """The names of queues that hold tasks, or are named by a worker."""
    named = {task.queue for task in [*view.live.values(), *view.dead.values()]}
    named.update(queue for session in view.all_sessions() for queue in session.queues or ())
    return named


def _paused(view: TaskView) -> set[str]:
    return {queue for paused in view.paused.values() for queue in paused}


def _from_view(ctx: typer.Context, incomplete: str, choices: Callable[[TaskView], list[str]]) -> list[str]:
    _end_in_time()
    try:
        with existing_journal(ctx.params.get("journal")) as journal:
            view = journal.run(view_as_of(journal.asynchronous)).view
    except Exception:  # a completion has no place for a message
        return []
    return [each for each in choices(view) if each.startswith(incomplete)][:COMPLETIONS_MAX]


def _end_in_time() -> None:
    """Have the process end without completions when the time is over, whatever it waits for."""
    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
    signal.setitimer(signal.ITIMER_REAL, COMPLETION_SECONDS_MAX)


def join_words(environment: MutableMapping[str, str]) -> None:
    """Join what bash has divided at `:` and `=` in the words to be completed: `sqlite:///shop.db` is one word."""
    words, place = environment.get("COMP_WORDS", "").split("\n"), environment.get("COMP_CWORD", "")
    if len(words) < 2 or not place.isdecimal():
        return
    joined: list[str] = []
    at, glued = int(place), False
    for index, word in enumerate(words):
        breaks = bool(word) and set(word) <= _DIVIDERS
        if joined and (breaks or glued):
            joined[-1] += word
        else:
            joined.append(word)
        glued = breaks
        if index == int(place):
            at = len(joined) - 1
    environment.update(COMP_WORDS="\n".join(joined), COMP_CWORD=str(at))
