"""8. What is going on, why does it wait, and what happened? The journal answers, no worker has to run.

`journeyman status`, `why` and `history` are the commands of an operator. Here they run in a terminal's place, each in
the test's own process.
"""

import json
from typing import Any

import journeyman as jm
import pytest
from journeyman.cli import main
from support.workers import working


def ask(capfd: pytest.CaptureFixture[str], *command: str) -> list[dict[str, Any]]:
    """Run a command with `--json`, and return the objects it prints, one a line."""
    capfd.readouterr()
    assert main([*command, "--json"]) == 0
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def test_operator_asks_the_journal(journal: jm.Journal, url: str, capfd: pytest.CaptureFixture[str]) -> None:
    @jm.task(jm.Broker(journal), queue="oven")
    def bake(loaves: int) -> int:
        return loaves

    message = bake.generate([12])
    before = journal.read().events[-1].timestamp

    # Why does it wait? The findings have a code for programs and a sentence for people.
    (why,) = ask(capfd, "why", message.uuid, "--journal", url)
    assert [finding["code"] for finding in why["findings"]] == ["no_worker"]

    with working([bake], url):
        jm.ResultStore(journal).get(message, timeout=60_000, keep=True)

    # What happened to it, event by event, each accepted or refused?
    history = ask(capfd, "history", message.uuid, "--journal", url)
    assert [(step["name"], step["verdict"]) for step in history] == [
        ("task.submitted", "accepted"),
        ("task.claimed", "accepted"),
        ("task.succeeded", "accepted"),
    ]

    # How is the queue now, and how was it before the worker came?
    (now,) = ask(capfd, "status", "--journal", url)
    (then,) = ask(capfd, "status", "--journal", url, "--as-of", repr(before))
    assert now["totals"]["succeeded"] == 1
    assert then["totals"]["ready"] == 1
