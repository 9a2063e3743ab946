"""`journeyman history` and `journeyman why` for the tasks of chains."""

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import journeyman as jm
import pytest
from task_modules import chain_tasks

Run = Callable[..., "subprocess.CompletedProcess[str]"]
add, fails = chain_tasks.add_thread, chain_tasks.fails_thread


@contextmanager
def _working(journal: jm.Journal) -> Iterator[None]:
    """A worker in a thread of this process."""
    worker = jm.Worker([add, fails], journal, jm.Settings(threads=1))
    running = threading.Thread(target=worker.run)
    running.start()
    try:
        yield
    finally:
        worker.stop()
        running.join(60)
        assert not running.is_alive()


def _chain(journal: jm.Journal, *links: jm.Message) -> list[str]:
    add.broker.bind(journal)
    root = add.generate([1], callback=links, queue="sums")
    return [root.uuid, *(root.descendant_uuids or ())]


def _link(task: jm.Task[Any, Any], *args: int) -> jm.Message:
    return task.generate(args, submit=False)


@pytest.fixture
def failed(url: str) -> list[str]:
    """The ids of a chain of four whose second task has failed."""
    with jm.Journal(url) as journal:
        ids = _chain(journal, _link(fails), _link(add, 2), _link(add, 3))
        with _working(journal):
            jm.StatusTracker(journal).wait_for(ids[1], jm.TaskStatus.FAILED, timeout=60)
    return ids


def _asked(call: Run, url: str, task: str) -> dict[str, Any]:
    shown = call("why", task, "--journal", url, "--json")
    assert shown.returncode == 0, shown.stderr
    answer: dict[str, Any] = json.loads(shown.stdout)
    return answer


def _tree(text: str) -> list[str]:
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("chain "))
    return [" ".join(line.split()) for line in lines[start:]]


@pytest.mark.parametrize("number", range(4))
def test_history_of_each_link_shows_the_chain(call: Run, url: str, failed: list[str], number: int) -> None:
    shown = call("history", failed[number], "--journal", url)
    assert shown.returncode == 0, shown.stderr
    expected = [
        "chain of 3 links behind its root",
        f"add_thread {failed[0]} succeeded",
        f"├─ fails_thread {failed[1]} failed",
        f"├─ add_thread {failed[2]} does not run: {failed[1]} failed",
        f"└─ add_thread {failed[3]} does not run: {failed[1]} failed",
    ]
    expected[number + 1] += " ← this task"
    assert _tree(shown.stdout) == expected
    assert ("task.claimed" in shown.stdout) == (number < 2)


def test_history_json_ends_with_the_chain(call: Run, url: str, failed: list[str]) -> None:
    for number in range(4):
        shown = call("history", failed[number], "--journal", url, "--json")
        *events, last = [json.loads(line) for line in shown.stdout.splitlines()]
        assert [event["name"] for event in events][:1] == ["task.submitted"][: len(events)]
        assert bool(events) == (number < 2)
        assert last["chain"]["root"] == failed[0]
        assert [(each["id"], each["follows"]) for each in last["chain"]["tasks"]] == list(
            zip(failed, [None, *failed], strict=False)
        )
        states = [(each["name"], each["queue"], each["state"]) for each in last["chain"]["tasks"]]
        assert states == [
            ("add_thread", "sums", "succeeded"),
            ("fails_thread", "default", "failed"),
            ("add_thread", "default", "blocked"),
            ("add_thread", "default", "blocked"),
        ]


def test_history_of_a_task_without_chain_shows_none(call: Run, url: str) -> None:
    with jm.Journal(url) as journal:
        add.broker.bind(journal)
        plain = [add.generate([1]).uuid, add.generate([1], uuid="ada@shop.example").uuid]
    for task in plain:
        assert "chain " not in call("history", task, "--journal", url).stdout
        assert '"chain":' not in call("history", task, "--journal", url, "--json").stdout
    unknown = call("history", f"{plain[0]}@1", "--journal", url)
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "knows no task" in unknown.stderr


def test_why_of_a_waiting_link_names_its_predecessor(call: Run, url: str) -> None:
    with jm.Journal(url) as journal:
        ids = _chain(journal, _link(add, 2), _link(add, 3))
    answer = _asked(call, url, ids[1])
    (finding,) = answer["findings"]
    assert (answer["name"], answer["queue"], answer["state"]) == ("add_thread", "default", "unknown")
    assert finding["code"] == "link_waits"
    assert finding["sentence"] == (
        f"It is link 1 of 2 in the chain of {ids[0]} and is submitted when the one before it has succeeded. The chain "
        f"stands at {ids[0]}, the task before it, which waits to be run: `journeyman why {ids[0]}` says why."
    )
    (second,) = _asked(call, url, ids[2])["findings"]
    assert f"stands at {ids[0]}, 2 links before it, which waits" in second["sentence"]
    assert f"add_thread  {ids[2]}  " in call("why", ids[2], "--journal", url).stdout
    shown = call("history", ids[2], "--journal", url)
    assert "is not submitted yet" in shown.stdout
    assert _tree(shown.stdout)[1:] == [
        f"add_thread {ids[0]} waits to be run",
        f"├─ add_thread {ids[1]} waits for the one before",
        f"└─ add_thread {ids[2]} waits for the one before ← this task",
    ]


def test_why_of_a_link_behind_a_failure_says_requeue(call: Run, url: str, failed: list[str]) -> None:
    (finding,) = _asked(call, url, failed[3])["findings"]
    assert finding["code"] == "link_blocked"
    assert f"{failed[1]}, 2 links before it, failed for good" in finding["sentence"]
    assert f"`journeyman requeue {failed[1]}`" in finding["sentence"]
    codes = {found["code"]: found["sentence"] for found in _asked(call, url, failed[1])["findings"]}
    assert "2 links of its chain are behind it: they follow if this task is requeued" in codes["chain_blocked"]
    assert "chain_blocked" not in {found["code"] for found in _asked(call, url, failed[0])["findings"]}


def test_requeued_link_lets_the_chain_go_on(call: Run, url: str, failed: list[str]) -> None:
    assert call("requeue", failed[1], "--journal", url).returncode == 0
    (finding,) = _asked(call, url, failed[2])["findings"]
    assert finding["code"] == "link_waits"


def test_why_of_a_link_behind_a_revoked_one_says_so(call: Run, url: str) -> None:
    with jm.Journal(url) as journal:
        ids = _chain(journal, _link(add, 2))
        jm.Broker(journal).revoke(ids[0])
    (finding,) = _asked(call, url, ids[1])["findings"]
    assert finding["code"] == "link_blocked"
    assert "was taken out, so this link does not run any more" in finding["sentence"]
    assert f"`journeyman history {ids[0]}`" in finding["sentence"]
    behind = {found["code"]: found["sentence"] for found in _asked(call, url, ids[0])["findings"]}
    assert "1 link of its chain is behind it and never runs" in behind["chain_blocked"]


def test_why_of_a_link_behind_an_ended_chain_says_so(call: Run, url: str) -> None:
    with jm.Journal(url) as journal:
        ids = _chain(journal, _link(add, 2))
        jm.Broker(journal).ack(ids[0])
    (finding,) = _asked(call, url, ids[1])["findings"]
    assert finding["code"] == "link_blocked"
    assert "acknowledged by hand" in finding["sentence"]
