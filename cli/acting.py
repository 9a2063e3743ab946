"""`journeyman revoke` and `journeyman requeue`: acting on tasks, and telling what became of it."""

import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import orjson
import typer

from ..journal.journal import Journal
from ..tasks.broker import Broker
from ..tasks.disposition import Disposition, Effect
from .shared.failures import EXIT_ENVIRONMENT, quiet_on_broken_pipe
from .shared.opening import existing_journal
from .shared.options import JournalURL, LevelOption, LogLevel, as_typed, configure_logging
from .shared.screen import printable

TaskIds = Annotated[
    list[str], typer.Argument(metavar="TASK…", help="The tasks' ids: the uuids of their messages.", show_default=False)
]
AsJSON = Annotated[bool, typer.Option("--json", help="A JSON object for each task, one in a line.")]

_WORDS = {
    Disposition.REVOKED: "revoked",
    Disposition.ALREADY_ENDED: "has ended already; nothing was changed",
    Disposition.REQUEUED: "requeued",
    Disposition.NOT_A_DEAD_LETTER: "is no dead letter; nothing was changed",
    Disposition.UNKNOWN: "is not known to the journal",
}


def revoke(
    tasks: TaskIds,
    journal: JournalURL = None,
    as_json: AsJSON = False,
    log_level: LevelOption = LogLevel.WARNING,
) -> None:
    """Take tasks out of the queue, whether they wait or run.

    A worker stops what runs of a revoked task by the means its timeout has; a late outcome is refused.

    [bold]Example[/bold]

    journeyman revoke 0192f6b1-5c7a-7d31-9f60-3a2b8a4c9d11 --journal sqlite:///shop.db

    Exit status: 0 if all were revoked, 1 if any was not, since it has ended or is not known.
    """
    _act(tasks, journal, log_level, lambda broker, task: broker.revoke(task), as_json=as_json)


def requeue(
    tasks: TaskIds,
    journal: JournalURL = None,
    as_json: AsJSON = False,
    log_level: LevelOption = LogLevel.WARNING,
) -> None:
    """Let dead letters run again, their attempts forgotten.

    [bold]Examples[/bold]

    journeyman requeue 0192f6b1-5c7a-7d31-9f60-3a2b8a4c9d11 --journal sqlite:///shop.db

    journeyman dlq requeue --task send --journal sqlite:///shop.db

    Exit status: 0 if all were requeued, 1 if any was not, since it is no dead letter or is not known.
    """
    _act(tasks, journal, log_level, lambda broker, task: broker.requeue(task), as_json=as_json)


def _act(
    tasks: Sequence[str],
    journal: str | None,
    log_level: LogLevel,
    act: Callable[[Broker, str], Effect],
    *,
    as_json: bool,
) -> None:
    configure_logging(log_level)
    refused = 0
    with existing_journal(journal) as opened, quiet_on_broken_pipe():
        broker = Broker(opened)
        for task in dict.fromkeys(map(as_typed, tasks)):
            effect = act(broker, task)
            refused += not effect
            tell_effect(opened, task, effect, as_json=as_json)
    if refused:
        raise typer.Exit(EXIT_ENVIRONMENT)


def tell_effect(journal: Journal, task: str, effect: Effect, *, as_json: bool) -> None:
    """Print what became of an act on a task."""
    if as_json:
        said = {"task": task, "disposition": effect.disposition.name.lower(), "position": list(effect.position)}
        sys.stdout.buffer.write(orjson.dumps(said) + b"\n")
        sys.stdout.flush()
        return
    words = _WORDS[effect.disposition]
    where = f" {journal.location}" if effect.disposition is Disposition.UNKNOWN else ""
    print(f"{printable(task)} {words}{where}", flush=True)
