"""`journeyman dlq`: dead letters are listed, shown, requeued and purged, one or many at a time."""

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import journeyman as jm
import pytest
from journeyman.tasks.state import names

Run = Callable[..., "subprocess.CompletedProcess[str]"]

LETTERS = {  # by id: the task, its queue, and its error
    "01a22aa1-0000-7000-8000-00000000d59c": ("paint", "default", "ValueError", "no such colour: sepia"),
    "01a22aa1-0000-7000-8000-11111111d59c": ("paint", "mail", "ValueError", "no such colour: ochre"),
    "01a22aa1-0000-7000-8000-222222220abc": ("send", "mail", "ConnectionError", "refused"),
}
FIRST, SECOND, THIRD = LETTERS


@pytest.fixture
def failed_at(url: str) -> list[float]:
    """When each of `LETTERS` has failed, at its second attempt, in a journal that also holds a waiting task."""
    times = []
    with jm.Journal(url) as journal:
        journal.append(names.JOINED, {"worker": "w", "host": "h", "pid": 1, "lease_ms": 600_000}, key="w")
        for task, (name, queue, error, text) in LETTERS.items():
            jm.Broker(journal).submit(
                jm.Message(
                    uuid=task,
                    task_name=name,
                    queue=queue,
                    args=["ada", 3],
                    kwargs={"deep": {"x": [1]}},
                    tags=["urgent"] if task == THIRD else None,
                )
            )
            exception = {"name": error, "text": text, "traceback": f'  File "tasks.py"\n{error}: {text}'}
            for ended in (names.RETRIED, names.FAILED):
                claim = journal.append(names.CLAIMED, {"task": task, "worker": "w"}, key=task)
                about = {"task": task, "worker": "w", "claim": claim.offset, "due": 1.0, "ran_ms": 5.0}
                end = journal.append(ended, {**about, "exception": exception}, key=task)
            times.append(end.timestamp)
        jm.Broker(journal).submit(jm.Message(uuid="waits", task_name="paint"))
    return times


def listed(call: Run, url: str, *filters: str) -> list[str]:
    done = call("dlq", "list", "--json", "--journal", url, *filters)
    assert done.returncode == 0, done.stderr
    return [json.loads(line)["id"] for line in done.stdout.splitlines()]


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment).astimezone().isoformat()


def test_list_names_id_task_queue_attempts_and_error(call: Run, url: str, failed_at: list[float]) -> None:
    lines = call("dlq", "list", "--journal", url).stdout.splitlines()
    assert lines[0].split() == ["id", "task", "queue", "attempts", "failed", "error"]
    assert [line.split()[:4] for line in lines[1:]] == [
        [THIRD, "send", "mail", "2"],
        [SECOND, "paint", "mail", "2"],
        [FIRST, "paint", "default", "2"],
    ]
    assert lines[1].endswith("ConnectionError: refused")


def test_list_filters_can_be_combined(call: Run, url: str, failed_at: list[float]) -> None:
    assert listed(call, url, "--exception", "VALUEERROR") == [SECOND, FIRST]
    assert listed(call, url, "--exception", "ochre", "--task", "paint", "--queue", "mail") == [SECOND]
    assert listed(call, url, "--since", iso(failed_at[1]), "--until", iso(failed_at[1])) == [SECOND]
    assert listed(call, url, "--since", iso(failed_at[1])) == [THIRD, SECOND]
    nothing = call("dlq", "list", "--queue", "nowhere", "--journal", url)
    assert (nothing.returncode, nothing.stdout) == (0, f"no such dead letters in {url}\n")


def test_show_prints_arguments_and_attempts_with_tracebacks(call: Run, url: str, failed_at: list[float]) -> None:
    shown = call("dlq", "show", "0abc", "--journal", url).stdout
    assert 'call send("ada", 3, deep={"x":[1]})' in shown
    assert shown.count('      File "tasks.py"') == 2
    first, second = shown.split("attempt 1")[1].split("attempt 2")
    assert "task.retried: ConnectionError: refused" in first
    assert "task.failed: ConnectionError: refused" in second
    assert "ran 5.0 ms" in second
    facts = json.loads(call("dlq", "show", THIRD, "--json", "--journal", url).stdout)
    assert (facts["args"], facts["kwargs"]) == (["ada", 3], {"deep": {"x": [1]}})
    assert [(each["number"], each["how"]) for each in facts["attempts"]] == [(1, "task.retried"), (2, "task.failed")]
    assert facts["attempts"][1]["exception"]["traceback"].endswith("ConnectionError: refused")


@pytest.mark.parametrize(("task", "said"), [("waits", "is no dead letter"), ("nowhere", "knows no task nowhere")])
def test_show_of_an_unknown_letter_is_a_sentence(
    call: Run, url: str, failed_at: list[float], task: str, said: str
) -> None:
    done = call("dlq", "show", task, "--journal", url)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr


def test_requeue_by_filter_records_author_and_reason(call: Run, url: str, failed_at: list[float]) -> None:
    trial = call("dlq", "requeue", "--task", "paint", "--dry-run", "--journal", url)
    assert trial.stdout == f"2 dead letters would be requeued: {FIRST} and {SECOND}\n"
    assert len(listed(call, url)) == 3
    done = call("dlq", "requeue", "--task", "paint", "--reason", "paint is there", "--journal", url)
    assert done.stdout.splitlines() == [f"{task} requeued" for task in (FIRST, SECOND)]
    assert listed(call, url) == [THIRD]
    with jm.Journal(url) as journal:
        told = [event.context for event in journal.read().events if event.name == names.REQUEUED]
    assert [each["reason"] for each in told] == ["paint is there"] * 2
    assert all("@" in each["by"] for each in told)
    assert "(paint is there)" in call("history", FIRST, "--journal", url).stdout
    assert "(paint is there)" in call("why", FIRST, "--journal", url).stdout


def test_requeue_and_purge_select_by_tag(call: Run, url: str, failed_at: list[float]) -> None:
    trial = call("dlq", "purge", "--tag", "urgent", "--dry-run", "--journal", url)
    assert trial.stdout == f"1 dead letter would be purged: {THIRD}\n"
    assert call("dlq", "requeue", "--tag", "urgent", "--journal", url).stdout == f"{THIRD} requeued\n"
    assert listed(call, url) == [SECOND, FIRST]


def test_purge_asks_first_and_leaves_other_letters(call: Run, url: str, failed_at: list[float]) -> None:
    refused = call("dlq", "purge", "…0abc", "--journal", url)
    assert refused.returncode == 2
    assert "Purge 1 dead letter? It cannot be requeued afterwards. Say --yes" in refused.stderr
    done = call("dlq", "purge", "…0abc", "--yes", "--reason", "sent by hand", "--journal", url)
    assert (done.returncode, done.stdout) == (0, f"{THIRD} purged\n")
    assert listed(call, url) == [SECOND, FIRST]
    again = call("dlq", "requeue", THIRD, "--json", "--journal", url)
    assert (again.returncode, json.loads(again.stdout)["disposition"]) == (1, "not_a_dead_letter")
    assert "It was purged from the dead letters" in call("why", THIRD, "--journal", url).stdout
    assert call("history", THIRD, "--journal", url).stdout.splitlines()[1].startswith("purged ")


def test_purge_on_a_terminal_requires_a_yes(shop: Path, call: Run, url: str, failed_at: list[float]) -> None:
    for answer, status, left in (("n", 130, 3), ("y", 0, 0)):
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "journeyman", "dlq", "purge", "--all", "--journal", url]
        with subprocess.Popen(command, cwd=shop, stdin=theirs, stdout=subprocess.PIPE, text=True) as process:
            os.write(ours, f"{answer}\n".encode())
            out, _ = process.communicate(timeout=60)
        os.close(ours)
        os.close(theirs)
        assert process.returncode == status
        assert "Purge 3 dead letters? They cannot be requeued afterwards. [y/N]" in out
        assert len(listed(call, url)) == left


def test_rate_option_spreads_requeues(call: Run, url: str, failed_at: list[float]) -> None:
    begun = time.monotonic()
    done = call("dlq", "requeue", "--all", "--rate", "4", "--journal", url)
    assert time.monotonic() - begun >= 2 / 4, "the third comes two periods after the first"
    assert len(done.stdout.splitlines()) == 3


@pytest.mark.parametrize("command", ["requeue", "purge"])
@pytest.mark.parametrize("said", [(), ("--all", "--task", "paint"), (FIRST, "--all"), (FIRST, "--queue", "mail")])
def test_vague_or_contradictory_choice_is_refused(call: Run, url: str, command: str, said: tuple[str, ...]) -> None:
    with jm.Journal(url) as journal:
        journal.append("order.paid")
    done = call("dlq", command, *said, "--yes", "--journal", url)
    assert done.returncode == 2
    assert "or --all for all dead letters: one of the three" in done.stderr
