"""`journeyman why`, now and as of an earlier time, as processes beside real workers."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import journeyman as jm
import pytest
import uuid_utils

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]
Answer = Callable[..., "dict[str, object]"]


@pytest.fixture
def answer(call: Run, url: str) -> Answer:
    """What `why --json` says of a task."""

    def ask(task: str, *more: str) -> dict[str, object]:
        shown = call("why", task, "--journal", url, "--json", *more)
        assert shown.returncode == 0, shown.stderr
        answer: dict[str, object] = json.loads(shown.stdout)
        return answer

    return ask


def _codes(answer: dict[str, object]) -> list[str]:
    findings = answer["findings"]
    assert isinstance(findings, list)
    return [finding["code"] for finding in findings]


def _submit(journal: jm.Journal, name: str, *args: object, **more: object) -> str:
    message = jm.Message(task_name=name, args=list(args), **more)  # type: ignore[arg-type]
    jm.Broker(journal).submit(message)
    return message.uuid


@contextmanager
def _ready(start: Start, url: str, *more: str) -> Iterator["subprocess.Popen[str]"]:
    """A worker that is ready, and leaves at the end."""
    worker = start("worker", "shop.tasks", "--journal", url, *more)
    assert worker.stdout is not None
    assert "is ready" in worker.stdout.readline()
    yield worker
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=60) == 0


def test_why_reports_that_no_worker_runs(call: Run, url: str) -> None:
    with jm.Journal(url) as journal:
        task = _submit(journal, "add", 1, 2, queue="mail", priority=3)
    shown = call("why", task, "--journal", url)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines() == [
        f"add  {task}  queue mail, priority 3",
        (
            "- No worker is running: none has joined this journal, or all have left it. "
            "`journeyman worker PACKAGE` starts one."
        ),
    ]


def test_why_names_tasks_and_queues_served_by_no_worker(start: Start, url: str, answer: Answer) -> None:
    with jm.Journal(url) as journal, _ready(start, url, "--queues", "mail,bulk"):
        unknown = _submit(journal, "resize", queue="mail")
        unserved = _submit(journal, "add", 1, 2, queue="other")
        said = answer(unknown)
        assert _codes(said) == ["no_worker_knows"]
        finding = said["findings"][0]  # type: ignore[index]
        assert finding["facts"] == {"task": "resize", "workers": 1, "known": ["add", "paint", "read"]}
        assert finding["sentence"] == (
            "No live worker knows the task resize: 1 worker is running, and it knows add, paint and read. "
            "Start one with the package that holds it: `journeyman worker PACKAGE`."
        )
        said = answer(unserved)
        assert _codes(said) == ["queue_unserved"]
        assert "the worker that knows it serves bulk and mail" in str(said["findings"])


def test_why_names_the_holder_and_the_waiting_tasks(start: Start, url: str, shop: Path, answer: Answer) -> None:
    pipe = shop / "pipe"
    os.mkfifo(pipe)
    with jm.Journal(url) as journal, _ready(start, url, "--threads", "1") as worker:
        running = _submit(journal, "read", str(pipe))
        with pipe.open("w"):  # returns when the task has opened its end: it runs
            worse = _submit(journal, "add", 1, 2, priority=9)
            better = _submit(journal, "add", 1, 2)
            held = answer(running)
            assert (held["state"], held["attempts"]) == ("claimed", 1)
            assert _codes(held) == ["claimed", "lease"]
            claimed = held["findings"][0]  # type: ignore[index]
            assert claimed["facts"]["pid"] == worker.pid
            assert f"(pid {worker.pid})" in claimed["sentence"]
            behind = answer(worse)
            assert [code for code in _codes(behind) if code != "returned"] == ["behind", "workers_busy"]
            assert "1 task comes first: of better priority." in str(behind["findings"])
            assert "workers_busy" in _codes(answer(better))
        jm.StatusTracker(journal).wait_for(worse, jm.TaskStatus.SUCCEEDED, timeout=60)
        assert _codes(answer(worse)) == ["succeeded"]


def test_why_explains_backoff_and_delay(start: Start, url: str, answer: Answer) -> None:
    with jm.Journal(url) as journal, _ready(start, url):
        backoff = jm.ConstantBackoff(600_000, floor=0).settings
        failing = _submit(journal, "paint", "sepia", backoff_settings=backoff)
        delayed = _submit(journal, "add", 1, 2, delay=600_000)
        jm.StatusTracker(journal).wait_for(failing, jm.TaskStatus.RETRYING, timeout=60)
        assert _codes(answer(delayed)) == ["delayed"]
        said = answer(failing)
        assert _codes(said) == ["backing_off"]
        assert "Attempt 1 of 4 failed" in str(said["findings"])
        assert "ValueError: no such colour: sepia" in str(said["findings"])


def test_why_names_the_killed_worker_and_its_successor(start: Start, url: str, shop: Path, answer: Answer) -> None:
    pipe = shop / "pipe"
    os.mkfifo(pipe)
    with jm.Journal(url) as journal:
        victim = start("worker", "shop.tasks", "--journal", url, "--lease-ms", "500")
        task = _submit(journal, "read", str(pipe))
        with pipe.open("w"):
            victim.kill()
            victim.wait(timeout=60)
        said = answer(task)
        while "worker_silent" not in _codes(said):  # until the lease is over
            assert _codes(said) == ["claimed", "lease"]
            said = answer(task)
        assert "its tasks are not taken over: start one" in str(said["findings"])
        with _ready(start, url), pipe.open("w"):
            said = answer(task)
            assert _codes(said) == ["claimed", "lease"]
            assert "attempt 2 of 4" in str(said["findings"])
        jm.StatusTracker(journal).wait_for(task, jm.TaskStatus.SUCCEEDED, timeout=60)
        claim = next(event for event in journal.read().events if event.name == "task.claimed")
        journal.append("task.succeeded", {**claim.context, "claim": claim.offset, "result": None}, task)
    said = answer(task)
    assert _codes(said) == ["succeeded", "refused"]
    sentence = said["findings"][1]["sentence"]  # type: ignore[index]
    assert sentence.startswith("1 event about it was refused: task.succeeded from worker …")
    assert "when the task had succeeded already" in sentence


@pytest.fixture
def times(start: Start, url: str) -> dict[str, float]:
    """When a task was submitted, claimed and done, by the journal; it is called `known`."""
    with jm.Journal(url) as journal:
        message = jm.Message(task_name="add", args=[1, 2], uuid="known")
        jm.Broker(journal).submit(message)
        with _ready(start, url):
            jm.StatusTracker(journal).wait_for("known", jm.TaskStatus.SUCCEEDED, timeout=60)
        return {event.name: event.timestamp for event in journal.read().events if event.context.get("task") == "known"}


def test_why_as_of_gives_the_answer_of_that_time(answer: Answer, times: dict[str, float]) -> None:
    said = answer("known", "--as-of", f"{times['task.submitted']:.6f}")
    assert (said["state"], _codes(said), said["as_of"]) == ("ready", ["no_worker"], times["task.submitted"])
    said = answer("known", "--as-of", f"{times['task.claimed']:.6f}")
    assert (said["state"], _codes(said)) == ("claimed", ["claimed", "lease"])
    said = answer("known", "--as-of", f"{times['task.succeeded']:.6f}")
    assert (said["state"], _codes(said)) == ("succeeded", ["succeeded"])


def test_task_is_unknown_before_its_submission(call: Run, url: str, times: dict[str, float]) -> None:
    moment = f"{times['task.submitted'] - 0.000_001:.6f}"
    for command in ("why", "history"):
        asked = call(command, "known", "--journal", url, "--as-of", moment)
        assert asked.returncode == 1
        assert "knows no task known" in asked.stdout + asked.stderr


def test_id_of_a_worker_is_told_from_that_of_a_task(call: Run, url: str) -> None:
    worker = str(uuid_utils.uuid7())
    with jm.Journal(url) as journal:
        journal.append("worker.joined", {"worker": worker, "host": "atlas", "pid": 7, "lease_ms": 9_000}, worker)
        joined_at = journal.read().events[-1].timestamp
        journal.append("worker.left", {"worker": worker}, worker)
    for command in ("why", "history"):
        asked = call(command, worker[-8:], "--journal", url)
        assert asked.returncode == 1
        assert "It is the id of a worker, which ran on atlas (pid 7) from" in asked.stdout + asked.stderr
        assert f"when it left: `journeyman tail --key {worker}`" in asked.stdout + asked.stderr
        asked = call(command, worker, "--journal", url, "--as-of", f"{joined_at:.6f}")
        assert "which has run on atlas (pid 7) since" in asked.stdout + asked.stderr
    shown = call("tail", "--journal", url, "--key", worker, "--json")
    assert [json.loads(line)["name"] for line in shown.stdout.splitlines()] == ["worker.joined", "worker.left"]


def test_history_as_of_a_time_ends_there(call: Run, url: str, times: dict[str, float]) -> None:
    for count, name in enumerate(("task.submitted", "task.claimed", "task.succeeded"), 1):
        shown = call("history", "known", "--journal", url, "--json", "--as-of", f"{times[name]:.6f}")
        assert [json.loads(line)["name"] for line in shown.stdout.splitlines()] == list(times)[:count]


@pytest.mark.parametrize(
    "command",
    [("why", "x", "--as-of", "tomorrow"), ("status", "--as-of", "2100-01-01"), ("history", "x", "--as-of", "9e9")],
)
def test_invalid_or_future_moment_is_refused(call: Run, url: str, command: tuple[str, ...]) -> None:
    with jm.Journal(url) as journal:
        journal.append("something.happened")
    asked = call(*command, "--journal", url)
    assert (asked.returncode, asked.stdout) == (2, "")
    assert "--as-of" in asked.stderr
    assert len(asked.stderr.splitlines()) == 1


def test_unknown_task_gives_a_sentence_and_status_1(call: Run, url: str) -> None:
    with jm.Journal(url) as journal:
        task = _submit(journal, "add", 1, 2)
    asked = call("why", task[-8:], "--journal", url)
    assert asked.returncode == 0, "its last characters are enough"
    assert asked.stdout.startswith(f"add  {task}  queue default")
    asked = call("why", task[:20], "--journal", url)
    assert asked.returncode == 1
    assert asked.stdout == f"- The journal knows no task {task[:20]}. Did you mean {task}?\n"
    asked = call("why", "no-such-task", "--journal", url, "--json")
    assert asked.returncode == 1
    assert json.loads(asked.stdout)["state"] == "unknown"
