"""`journeyman history`, as a process."""

import json
import signal
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import journeyman as jm
import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def done(start: Start, url: str) -> tuple[jm.Message, jm.Message]:
    """A task that succeeded and one that failed twice, run by a real worker."""
    worker = start("worker", "shop.tasks", "--journal", url)
    with jm.Journal(url) as journal:
        broker = jm.Broker(journal)
        good = jm.Message(task_name="add", kwargs={"a": 2, "b": 3})
        backoff = jm.ConstantBackoff(1, floor=0).settings
        bad = jm.Message(task_name="paint", args=["sepia"], max_retries=1, backoff_settings=backoff)
        broker.submit_all([good, bad])
        tracker = jm.StatusTracker(journal)
        tracker.wait_for(good, jm.TaskStatus.SUCCEEDED, timeout=60)
        tracker.wait_for(bad, jm.TaskStatus.FAILED, timeout=60)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=60) == 0
    return good, bad


def test_history_shows_events_and_the_result(call: Run, url: str, done: tuple[jm.Message, jm.Message]) -> None:
    shown = call("history", done[0].uuid, "--journal", url)
    assert shown.returncode == 0, shown.stderr
    assert "succeeded" in shown.stdout.splitlines()[1]
    assert "1 attempt" in shown.stdout.splitlines()[1]
    assert [name for name in ("task.submitted", "task.claimed", "task.succeeded") if name in shown.stdout] == [
        "task.submitted",
        "task.claimed",
        "task.succeeded",
    ]
    assert shown.stdout.splitlines()[-1] == "result 5"


def test_history_shows_each_failure_and_the_error(call: Run, url: str, done: tuple[jm.Message, jm.Message]) -> None:
    shown = call("history", done[1].uuid, "--journal", url)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("task.claimed") == 2
    assert "attempt 1" in shown.stdout
    assert "attempt 2" in shown.stdout
    assert "runs again" in shown.stdout
    assert "\nerror ValueError: no such colour: sepia\n  Traceback (most recent call last):\n" in shown.stdout
    assert "shop/tasks.py" in shown.stdout
    assert shown.stdout.splitlines()[-1] == "  ValueError: no such colour: sepia"


def test_history_json_has_the_same_in_full(call: Run, url: str, done: tuple[jm.Message, jm.Message]) -> None:
    shown = call("history", done[1].uuid, "--journal", url, "--json")
    steps = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [(step["name"], step["verdict"], step["attempts"], step["state"]) for step in steps] == [
        ("task.submitted", "accepted", 0, "ready"),
        ("task.claimed", "accepted", 1, "claimed"),
        ("task.retried", "accepted", 1, "ready"),
        ("task.claimed", "accepted", 2, "claimed"),
        ("task.failed", "accepted", 2, "failed"),
    ]
    assert all(step["key"] == done[1].uuid for step in steps)
    assert steps[0]["since_previous_ms"] is None
    assert all(step["since_previous_ms"] > 0 for step in steps[1:])
    assert len({step["host"] for step in steps[1:]}) == 1


LAUNDRY = """
    import journeyman as jm

    broker = jm.Broker()


    class Undecided(jm.Task):
        def do_retry(self, message, exception):
            raise LookupError("no oracle to ask")


    @jm.task(broker, base_task=Undecided)
    def wash(load):
        raise ValueError(f"cannot wash:\\n{load}")
"""


def test_failing_hook_loses_no_outcome_and_is_shown(call: Run, start: Start, shop: Path, url: str) -> None:
    (shop / "laundry.py").write_text(textwrap.dedent(LAUNDRY))
    worker = start("worker", "laundry", "--journal", url)
    with jm.Journal(url) as journal:
        message = jm.Message(task_name="wash", args=["wool"])
        jm.Broker(journal).submit(message)
        jm.StatusTracker(journal).wait_for(message, jm.TaskStatus.FAILED, timeout=60)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=60) == 0
    shown = call("history", message.uuid, "--journal", url)
    assert "\nerror ValueError: cannot wash: wool\n" in shown.stdout
    last = shown.stdout.splitlines()[-1]
    assert last == "hook  LookupError: no oracle to ask: it could not be asked whether to try again"
    why = call("why", message.uuid, "--journal", url)
    assert "ValueError: cannot wash: wool. It was not retried, as its do_retry or retry_at failed too" in why.stdout
    assert "(LookupError: no oracle to ask)" in why.stdout
