"""`journeyman revoke`: take tasks out of the queue, chosen by their ids or by a filter."""

from typing import Annotated

import typer

from ..journal.journal import Journal
from ..tasks.inspection.as_of import view_as_of
from ..tasks.inspection.stored_labels import labels_of
from ..tasks.inspection.wording import number
from .shared.acts import (
    REVOKING,
    AsJSON,
    DryRun,
    QueueName,
    Rate,
    TagName,
    TaskName,
    act_on,
    refuse_vague,
    whole_ids,
)
from .shared.asking import Reason, Yes, confirm_on_terminal
from .shared.failures import quiet_on_broken_pipe
from .shared.opening import existing_journal
from .shared.options import JournalURL, LevelOption, LogLevel, configure_logging
from .shared.screen import printable
from .shared.task_ids import SomeTaskIds

Everything = Annotated[bool, typer.Option("--all", help="Select all tasks that wait or run.")]


def revoke(
    tasks: SomeTaskIds = None,
    journal: JournalURL = None,
    *,
    task: TaskName = None,
    queue: QueueName = None,
    tag: TagName = None,
    everything: Everything = False,
    rate: Rate = None,
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

    journeyman revoke --task remind --queue mail --dry-run

    Exit status: 0 if all were revoked, 1 if any was not, since it has ended or is not known.
    """
    configure_logging(log_level)
    filtered = (task, queue, tag) != (None, None, None)
    refuse_vague("tasks", "--task NAME, --queue NAME, --tag TAG", tasks, filtered=filtered, everything=everything)
    with existing_journal(journal) as opened, quiet_on_broken_pipe():
        found = whole_ids(opened, tasks) if tasks else _live(opened, task, queue, tag)
        if found and not (dry_run or yes):
            what = f"the task {printable(found[0])}" if len(found) == 1 else number(len(found), "task")
            confirm_on_terminal(f"Revoke {what}?")
        act_on(opened, found, REVOKING, rate=rate, reason=reason, dry_run=dry_run, as_json=as_json)


def _live(journal: Journal, name: str | None, queue: str | None, tag: str | None) -> list[str]:
    """Return the ids of the tasks that wait or run, of that name, queue and tag if given; the oldest first."""
    view = journal.run(view_as_of(journal.asynchronous, None)).view
    tasks = sorted(view.live.values(), key=lambda task: (task.submitted_at, task.partition, task.submitted))
    found = [task for task in tasks if name in (None, task.name) and queue in (None, task.queue)]
    if tag is None:
        return [task.id for task in found]
    labels = journal.run(labels_of(journal.run(journal.asynchronous.open()), found))
    return [task.id for task, said in zip(found, labels, strict=True) if tag in said.tags]
