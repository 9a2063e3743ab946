"""Every command that answers a question or reports what it has done does so in JSON, too."""

import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import journeyman as jm
import pytest
import typer
from journeyman.cli.app import application

Run = Callable[..., "subprocess.CompletedProcess[str]"]

# Those that run until they are stopped: what they print is for people; a worker's log is configured by itself.
RUNNING = {"worker", "thread-pool", "process-pool", "scheduler", "serve", "demo", "top"}


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """All commands below a group, with the words that call them."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


ALL = dict(commands(typer.main.get_command(application())))


def test_every_command_that_answers_takes_json() -> None:
    without = {
        name for name, command in ALL.items() if not any("--json" in parameter.opts for parameter in command.params)
    }
    assert without == RUNNING


def test_every_command_takes_a_journal_and_a_log_level() -> None:
    for name, command in ALL.items():
        options = {option for parameter in command.params for option in parameter.opts}
        assert name in {"demo", "init", "restore"} or "--journal" in options, name
        assert name in {"demo", "init"} or "--log-level" in options, name


@pytest.mark.parametrize(
    "words",
    [
        "submit send",
        "status",
        "why order-7",
        "history order-7",
        "revoke order-7",
        "requeue order-7",
        "dlq requeue order-7",
        "dlq purge order-7 --yes",
        "pause mail",
        "resume mail",
        "verify",
        "consumers",
        "lock list",
        "schedule list",
        "dlq list",
    ],
)
def test_json_output_is_json_in_each_line(call: Run, url: str, words: str) -> None:
    with jm.Journal(url) as journal:
        jm.Broker(journal).submit(jm.Message(task_name="send", uuid="order-7"))
    done = call(*words.split(), "--json", "--journal", url)
    assert done.returncode in (0, 1), done.stderr
    for line in done.stdout.splitlines():
        json.loads(line)
    assert done.stdout or words in {"lock list", "schedule list", "dlq list", "consumers"}
