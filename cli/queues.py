"""`journeyman pause` and `journeyman resume`: stop the claims of a queue, and allow them again."""

from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from ..journal.journal import Journal
from ..tasks.answers.acts import QueueChangeAnswer
from ..tasks.broker import Broker
from ..tasks.inspection.as_of import view_as_of
from ..tasks.inspection.wording import listing
from .shared.asking import Reason, operator
from .shared.completing import queues as queues_known
from .shared.completing import queues_in_use
from .shared.failures import print_problem, quiet_on_broken_pipe
from .shared.json_lines import print_json, with_journal
from .shared.opening import existing_journal
from .shared.options import JournalURL, LevelOption, LogLevel, configure_logging
from .shared.screen import printable

Queues = Annotated[
    list[str],
    typer.Argument(
        metavar="QUEUE…", help="The queues, by their exact names.", show_default=False, autocompletion=queues_known
    ),
]
AsJSON = Annotated[bool, typer.Option("--json", help="Print a JSON object a line for each queue.")]


def pause(
    queues: Queues,
    journal: JournalURL = None,
    reason: Reason = None,
    as_json: AsJSON = False,
    log_level: LevelOption = LogLevel.WARNING,
) -> None:
    """Pause queues: no worker claims tasks of them until they are resumed. Running tasks go on.

    The pause stands in the journal, so workers that start later obey it, too. Tasks can still be submitted. A worker
    may still append the claims that it was about to append.

    [bold]Examples[/bold]

    journeyman pause mail --reason 'the mail server is down' --journal sqlite:///shop.db

    Exit status: 0, also if they were paused already; 1 if the journal cannot be used.
    """
    configure_logging(log_level)
    _each(queues, journal, lambda broker, queue: broker.pause(queue, by=operator(), reason=reason), "paused", as_json)


def resume(
    queues: Queues,
    journal: JournalURL = None,
    reason: Reason = None,
    as_json: AsJSON = False,
    log_level: LevelOption = LogLevel.WARNING,
) -> None:
    """Resume paused queues: workers claim their tasks again.

    [bold]Example[/bold]

    journeyman resume mail --journal sqlite:///shop.db

    Exit status: 0, also if they were not paused; 1 if the journal cannot be used.
    """
    configure_logging(log_level)
    _each(queues, journal, lambda broker, queue: broker.resume(queue, by=operator(), reason=reason), "resumed", as_json)


def _each(
    queues: Sequence[str], url: str | None, change: Callable[[Broker, str], bool], done: str, as_json: bool
) -> None:
    with existing_journal(url) as opened, quiet_on_broken_pipe():
        broker = Broker(opened)
        for queue in dict.fromkeys(queues):
            _print_change(opened, queue, done, changed=change(broker, queue), as_json=as_json)
        if done == "paused" and not as_json:
            _name_unused(opened, queues)


def _name_unused(journal: Journal, queues: Sequence[str]) -> None:
    """Say of which paused queues nothing is known yet: their names may be mistyped."""
    in_use = queues_in_use(journal.run(view_as_of(journal.asynchronous)).view)
    if unused := [queue for queue in dict.fromkeys(queues) if queue not in in_use]:
        known = f"; the queues in use are {listing(sorted(in_use))}" if in_use else ""
        print_problem(
            f"no task is in the queue {listing(unused)}, and no worker names it{known}. If the name is mistyped, take "
            "the pause back with `journeyman resume`"
        )


def _print_change(journal: Journal, queue: str, done: str, *, changed: bool, as_json: bool) -> None:
    if as_json:
        print_json(with_journal(QueueChangeAnswer(queue, done == "paused", changed), journal.url))
        return
    before = "was paused already" if done == "paused" else "was not paused"
    print(f"queue {printable(queue)} {done if changed else before}", flush=True)
