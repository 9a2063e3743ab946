"""Acts on many tasks, one after the other: the options by which tasks are chosen, the pace, and what is printed."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Final, NamedTuple

import typer

from ...journal.journal import Journal
from ...tasks.answers.acts import WouldAnswer, acted
from ...tasks.broker import Broker
from ...tasks.disposition import Effect
from ...tasks.inspection.wording import disposition_with_advice, listing, number
from .asking import operator
from .completing import queues
from .failures import EXIT_ENVIRONMENT, BadInput
from .json_lines import print_json
from .screen import printable
from .task_ids import whole_id

AsJSON = Annotated[bool, typer.Option("--json", help="Print a JSON object a line for each task.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and append nothing.")]
Rate = Annotated[
    float | None,
    typer.Option(
        "--rate", min=0.001, metavar="N", help="Act on at most N tasks a second, so that they do not all run at once.",
        show_default="unlimited",
    ),
]  # fmt: skip

TagName = Annotated[
    str | None, typer.Option("--tag", metavar="TAG", help="Select only those with this tag.", show_default=False)
]
TaskName = Annotated[
    str | None, typer.Option("--task", metavar="NAME", help="Select only those of this task.", show_default=False)
]
QueueName = Annotated[
    str | None,
    typer.Option(
        "--queue", metavar="NAME", help="Select only those of this queue.", show_default=False, autocompletion=queues
    ),
]


class Act(NamedTuple):
    """An act on tasks: the call for one, by broker, id, operator and reason; the word for it, and for its objects."""

    call: Callable[[Broker, str, str, str | None], Effect]
    done: str
    subject: str


REVOKING: Final = Act(lambda broker, task, by, reason: broker.revoke(task, by=by, reason=reason), "revoked", "task")
REQUEUEING: Final = Act(
    lambda broker, task, by, reason: broker.requeue(task, by=by, reason=reason), "requeued", "dead letter"
)
PURGING: Final = Act(lambda broker, task, by, reason: broker.purge(task, by=by, reason=reason), "purged", "dead letter")


def refuse_vague(subject: str, filters: str, tasks: Sequence[str] | None, *, filtered: bool, everything: bool) -> None:
    """Raise `BadInput` for an ambiguous choice: none of ids, `filters` and --all, or more than one of them."""
    if bool(tasks) + filtered + everything != 1:
        raise BadInput(
            f"the command takes the ids of {subject}, or what they have in common ({filters}), or --all for all "
            f"{subject}: one of the three"
        )


def whole_ids(journal: Journal, typed: Iterable[str]) -> list[str]:
    """Return the whole ids, each once."""
    return list(dict.fromkeys(whole_id(journal, each) for each in typed))


def act_on(
    journal: Journal,
    tasks: Sequence[str],
    act: Act,
    *,
    rate: float | None,
    reason: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Act on each task in turn, at most `rate` a second, and print the result; exit status 1 if one is refused."""
    if dry_run:
        _print_would(tasks, act, as_json=as_json)
        return
    broker, by, refused = Broker(journal), operator(), 0
    begun = time.monotonic()
    for done, task in enumerate(tasks):
        if rate is not None and (early := begun + done / rate - time.monotonic()) > 0:
            time.sleep(early)
        effect = act.call(broker, task, by, reason)
        refused += not effect
        _print_effect(journal, task, effect, as_json=as_json)
    if not tasks and not as_json:
        print(f"no such {act.subject}s in {journal.url}")
    if refused:
        raise typer.Exit(EXIT_ENVIRONMENT)


def _print_would(tasks: Sequence[str], act: Act, *, as_json: bool) -> None:
    if as_json:
        print_json(*map(WouldAnswer, tasks))
        return
    shown = f": {printable(listing(tasks))}" if tasks else ""
    print(f"{number(len(tasks), act.subject)} would be {act.done}{shown}")


def _print_effect(journal: Journal, task: str, effect: Effect, *, as_json: bool) -> None:
    if as_json:
        print_json(acted(task, effect))
        return
    words = disposition_with_advice(effect.disposition, task, journal.location)
    print(f"{printable(task)} {printable(words)}", flush=True)
