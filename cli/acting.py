"""`journeyman revoke` and `journeyman requeue`: act on tasks and print the results."""

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Final

import orjson
import typer

from ..journal.journal import Journal
from ..tasks.broker import Broker
from ..tasks.disposition import Disposition, Effect
from ..tasks.inspection.wording import number
from .shared.asking import Reason, Yes, confirm_on_terminal, operator
from .shared.failures import EXIT_ENVIRONMENT, quiet_on_broken_pipe
from .shared.opening import existing_journal
from .shared.options import JournalURL, LevelOption, LogLevel, configure_logging
from .shared.screen import printable
from .shared.task_ids import TaskIds, whole_id

AsJSON = Annotated[bool, typer.Option("--json", help="Print a JSON object a line for each task.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and append nothing.")]
Rate = Annotated[
    float | None,
    typer.Option(
        "--rate", min=0.001, metavar="N", help="Act on at most N tasks a second, so that they do not all run at once.",
        show_default="unlimited",
    ),
]  # fmt: skip

# An act on one task: takes the broker, the task's id, the operator and the reason.
Act = Callable[[Broker, str, str, str | None], Effect]

_WORDS: Final = {
    Disposition.REVOKED: "revoked",
    Disposition.ALREADY_ENDED: "has ended already; nothing was changed",
    Disposition.REQUEUED: "requeued",
    Disposition.PURGED: "purged",
    Disposition.NOT_A_DEAD_LETTER: "is no dead letter; nothing was changed",
    Disposition.UNKNOWN: "is not known to the journal",
}


def revoke_one(broker: Broker, task: str, by: str, reason: str | None) -> Effect:
    """Take a task out of the queue."""
    return broker.revoke(task, by=by, reason=reason)


def requeue_one(broker: Broker, task: str, by: str, reason: str | None) -> Effect:
    """Let a dead letter run again."""
    return broker.requeue(task, by=by, reason=reason)


def purge_one(broker: Broker, task: str, by: str, reason: str | None) -> Effect:
    """Take a dead letter out of the dead letters for good."""
    return broker.purge(task, by=by, reason=reason)


def revoke(
    tasks: TaskIds,
    journal: JournalURL = None,
    reason: Reason = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJSON = False,
    log_level: LevelOption = LogLevel.WARNING,
) -> None:
    """Take tasks out of the queue, whether they wait or run.

    A worker stops a revoked task that runs in the same way as one that exceeds its timeout; a late outcome is refused.
    A revocation cannot be undone, so on a terminal the command asks first.

    [bold]Examples[/bold]

    journeyman revoke 0192f6b1-5c7a-7d31-9f60-3a2b8a4c9d11 --journal sqlite:///shop.db

    journeyman revoke …8a4c9d11 --reason 'order 7 was cancelled' --yes

    Exit status: 0 if all were revoked, 1 if any was not, since it has ended or is not known.
    """
    configure_logging(log_level)
    with existing_journal(journal) as opened, quiet_on_broken_pipe():
        found = _whole(opened, tasks)
        if dry_run:
            _print_would(found, "revoked", as_json=as_json)
            return
        if not yes:
            confirm_on_terminal(f"Revoke {_named(found)}?")
        act_on(opened, found, revoke_one, reason=reason, as_json=as_json)


def requeue(
    tasks: TaskIds,
    journal: JournalURL = None,
    reason: Reason = None,
    dry_run: DryRun = False,
    as_json: AsJSON = False,
    log_level: LevelOption = LogLevel.WARNING,
) -> None:
    """Let dead letters run again, with their attempts reset.

    [bold]Examples[/bold]

    journeyman requeue 0192f6b1-5c7a-7d31-9f60-3a2b8a4c9d11 --journal sqlite:///shop.db

    journeyman dlq requeue --task send --journal sqlite:///shop.db

    Exit status: 0 if all were requeued, 1 if any was not, since it is no dead letter or is not known.
    """
    configure_logging(log_level)
    with existing_journal(journal) as opened, quiet_on_broken_pipe():
        found = _whole(opened, tasks)
        if dry_run:
            _print_would(found, "requeued", as_json=as_json)
            return
        act_on(opened, found, requeue_one, reason=reason, as_json=as_json)


def _whole(journal: Journal, typed: Sequence[str]) -> list[str]:
    """The whole ids, each once."""
    return list(dict.fromkeys(whole_id(journal, each) for each in typed))


def _named(tasks: Sequence[str]) -> str:
    return f"the task {printable(tasks[0])}" if len(tasks) == 1 else number(len(tasks), "task")


def _print_would(tasks: Iterable[str], done: str, *, as_json: bool) -> None:
    for task in tasks:
        print(
            orjson.dumps({"task": task, "dry_run": True}).decode()
            if as_json
            else f"{printable(task)} would be {done}, unless that is refused"
        )


def act_on(
    journal: Journal,
    tasks: Iterable[str],
    act: Act,
    *,
    reason: str | None,
    as_json: bool,
    rate: float | None = None,
) -> None:
    """Act on each task in turn, at most `rate` a second, and print the result; exit status 1 if one is refused."""
    broker, by, refused = Broker(journal), operator(), 0
    begun = time.monotonic()
    for done, task in enumerate(tasks):
        if rate is not None and (early := begun + done / rate - time.monotonic()) > 0:
            time.sleep(early)
        effect = act(broker, task, by, reason)
        refused += not effect
        print_effect(journal, task, effect, as_json=as_json)
    if refused:
        raise typer.Exit(EXIT_ENVIRONMENT)


def print_effect(journal: Journal, task: str, effect: Effect, *, as_json: bool) -> None:
    """Print the result of an act on a task."""
    if as_json:
        said = {"task": task, "disposition": effect.disposition.name.lower(), "position": list(effect.position)}
        sys.stdout.buffer.write(orjson.dumps(said) + b"\n")
        sys.stdout.flush()
        return
    words = _WORDS[effect.disposition]
    where = f" {journal.location}" if effect.disposition is Disposition.UNKNOWN else ""
    print(f"{printable(task)} {words}{where}", flush=True)
