"""Acting on tasks from the command line: revoke, requeue, and the dead letters."""

import json
import subprocess
from collections.abc import Callable

import journeyman as jm
import pytest
from journeyman.tasks.inspection import stored_labels

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]


def submit(url: str, name: str, *args: object, queue: str = "default") -> str:
    with jm.Journal(url) as journal:
        message = jm.Message(task_name=name, args=list(args), queue=queue, max_retries=0)
        jm.Broker(journal).submit(message)
    return message.uuid


@pytest.fixture
def dead(start: Start, url: str) -> list[str]:
    """Three dead letters, the oldest first; the last one was in another queue."""
    start("worker", "shop.tasks", "--journal", url)
    letters = []
    for number, queue in enumerate(("default", "default", "other")):
        letters.append(submit(url, "paint", f"colour {number}", queue=queue))
        with jm.Journal(url) as journal:
            jm.StatusTracker(journal).wait_for(letters[-1], jm.TaskStatus.FAILED, timeout=60)
    return letters


def test_revoke_reports_the_outcome_of_each_task(call: Run, url: str) -> None:
    waits = submit(url, "add", 1, 2)
    done = call("revoke", waits, "order-8", waits, "--journal", url)
    assert done.returncode == 1
    revoked, unknown = done.stdout.splitlines()
    assert revoked == f"{waits} revoked"
    assert unknown.startswith(f"order-8 is not known to the journal {url.removeprefix('sqlite:///')}; ")
    again = call("revoke", waits, "--json", "--journal", url)
    assert (again.returncode, json.loads(again.stdout)["disposition"]) == (1, "already_ended")
    assert "revoked" in call("why", waits, "--journal", url).stdout


def test_revoke_of_waiting_tasks_succeeds(call: Run, url: str) -> None:
    waits = [submit(url, "add", 1, 2) for _ in range(2)]
    done = call("revoke", *waits, "--journal", url)
    assert (done.returncode, done.stdout.splitlines()) == (0, [f"{task} revoked" for task in waits])


def test_revoke_takes_tasks_by_name_and_queue(call: Run, url: str) -> None:
    mail = [submit(url, "add", 1, 2, queue="mail") for _ in range(2)]
    other = submit(url, "add", 1, 2)
    paint = submit(url, "paint", "red", queue="mail")
    trial = call("revoke", "--task", "add", "--queue", "mail", "--dry-run", "--journal", url)
    assert trial.stdout == f"2 tasks would be revoked: {mail[0]} and {mail[1]}\n"
    done = call("revoke", "--task", "add", "--queue", "mail", "--rate", "1000", "--journal", url)
    assert done.stdout.splitlines() == [f"{task} revoked" for task in mail]
    assert call("revoke", "--queue", "nowhere", "--journal", url).stdout == f"no such tasks in {url}\n"
    rest = call("revoke", "--all", "--json", "--journal", url).stdout.splitlines()
    assert [json.loads(line)["task"] for line in rest] == [other, paint]


def test_revoke_takes_tasks_by_tag(call: Run, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_labels, "LABELS_STEP_TASKS", 2)
    tagged = [("spring",), (), ("spring", "urgent"), ("autumn",), ("urgent",)]
    messages = [jm.Message("add", args=[1, 2], tags=tags) for tags in tagged]
    with jm.Journal(url) as journal:
        jm.Broker(journal).submit_all(messages)
    done = call("revoke", "--tag", "spring", "--task", "add", "--journal", url)
    assert done.stdout.splitlines() == [f"{messages[number].uuid} revoked" for number in (0, 2)]
    assert call("revoke", "--tag", "spring", "--journal", url).stdout == f"no such tasks in {url}\n"


def test_revoke_of_everything_needs_an_explicit_option(call: Run, url: str) -> None:
    task = submit(url, "add", 1, 2)
    for vague in ((), ("--all", "--queue", "default"), (task, "--all")):
        refused = call("revoke", *vague, "--journal", url)
        assert refused.returncode == 2
        assert "--all for all tasks: one of the three" in refused.stderr


def test_dead_letters_are_listed_newest_first(call: Run, url: str, dead: list[str]) -> None:
    listed = call("dlq", "list", "--journal", url, "--json").stdout.splitlines()
    assert [json.loads(line)["id"] for line in listed] == dead[::-1]
    shown = call("dlq", "list", "--journal", url, "--limit", "2").stdout.splitlines()
    assert shown[0].split() == ["id", "task", "queue", "attempts", "failed", "error"]
    assert [line.split()[:4] for line in shown[1:3]] == [
        [dead[2], "paint", "other", "1"],
        [dead[1], "paint", "default", "1"],
    ]
    assert shown[3] == "and 1 older one more: --limit, or --json for all"
    filtered = call("dlq", "list", "--journal", url, "--json", "--queue", "other", "--task", "paint").stdout
    assert [json.loads(line)["id"] for line in filtered.splitlines()] == dead[2:]


def test_requeue_lets_dead_letters_run_again(call: Run, url: str, dead: list[str]) -> None:
    assert f"`journeyman requeue {dead[0]}`" in call("why", dead[0], "--journal", url).stdout
    done = call("requeue", dead[0], "--journal", url)
    assert (done.returncode, done.stdout) == (0, f"{dead[0]} requeued\n")
    assert "task.requeued" in call("history", dead[0], "--journal", url).stdout


def test_requeue_takes_a_whole_queue(call: Run, url: str, dead: list[str]) -> None:
    trial = call("dlq", "requeue", "--queue", "default", "--dry-run", "--journal", url)
    assert trial.stdout == f"2 dead letters would be requeued: {dead[0]} and {dead[1]}\n"
    done = call("dlq", "requeue", "--queue", "default", "--journal", url)
    assert done.stdout.splitlines() == [f"{task} requeued" for task in dead[:2]]
    assert call("dlq", "requeue", "--queue", "nowhere", "--journal", url).stdout.startswith("no such dead letters")


def test_requeue_of_everything_needs_an_explicit_option(call: Run, url: str) -> None:
    submit(url, "add", 1, 2)
    done = call("dlq", "requeue", "--journal", url)
    assert done.returncode == 2
    assert "--task NAME, --queue NAME" in done.stderr


def test_list_of_no_dead_letters_is_a_sentence(call: Run, url: str) -> None:
    submit(url, "add", 1, 2)
    done = call("dlq", "list", "--journal", url)
    assert (done.returncode, done.stdout) == (0, f"no dead letters in {url}\n")
