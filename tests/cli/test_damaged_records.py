"""A damaged record among a task's events: every command and worker reports it, and none interprets it."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest
from journeyman.journal import Journal
from journeyman.tasks.index.index import task_index

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def damaged_url(shop: Path, url: str) -> str:
    """The shop's journal with three tasks submitted; a letter of the second record was changed."""
    with Journal(url) as journal:
        for number in range(3):
            context = {"task": f"t{number}", "task_name": "add", "queue": "default", "args": [number, 1]}
            journal.append("task.submitted", context, key=f"t{number}")
    connection = apsw.Connection(str(shop / "shop.db"))
    connection.execute("UPDATE events SET event = replace(event, '\"args\":[1', '\"args\":[7') WHERE position = 2")
    connection.close()
    return url


def test_damaged_record_is_named_by_every_command(forked: Run, shop: Path, damaged_url: str) -> None:
    assert "unreadable    1 record" in forked("status", "--journal", damaged_url).stdout
    done = forked("tail", "--no-follow", "--json", "--journal", damaged_url)
    assert [json.loads(line)["context"]["task"] for line in done.stdout.splitlines()] == ["t0", "t2"]
    assert "is damaged at 0:1: the checksum does not match" in done.stderr
    done = forked("export", "-", "--journal", damaged_url)
    assert len(done.stdout.splitlines()) == 2
    assert "the first stands at 0:1: its checksum does not match" in done.stderr
    done = forked("history", "t1", "--journal", damaged_url)
    assert "7" not in done.stdout.split()
    assert "is damaged at 0:1" in done.stderr


def test_worker_logs_a_damaged_record_and_continues(start: Start, damaged_url: str) -> None:
    worker = start("worker", "shop.tasks", "--journal", damaged_url)
    assert worker.stdout is not None
    assert "is ready" in worker.stdout.readline()
    worker.terminate()
    _, log = worker.communicate(timeout=60)
    assert "is damaged at 0:1: the checksum does not match" in log
    assert "the record at 0:1 is passed over: its checksum does not match" in log
    assert worker.returncode == 0


def test_history_counts_records_damaged_since_indexing(call: Run, shop: Path, url: str) -> None:
    def damage(position: int) -> None:
        connection = apsw.Connection(str(shop / "shop.db"))
        change = "UPDATE events SET event = replace(event, '\"t0\"', '\"t7\"') WHERE position = ?"
        connection.execute(change, (position,))
        connection.close()

    with Journal(url) as journal:
        journal.append("task.submitted", {"task": "t0", "task_name": "add", "queue": "default"}, key="t0")
        journal.append("task.revoked", {"task": "t0"}, key="t0")
        journal.append("order.paid")
        journal.run(task_index(journal.asynchronous).catch_up())
    assert "revoked" in call("history", "t0", "--journal", url).stdout
    damage(2)
    done = call("history", "t0", "--journal", url)
    assert "waits to be run" in done.stdout
    assert "1 record of this task can not be read and is left out, the first at 0:1: see" in done.stderr
    done = call("history", "t0", "--json", "--journal", url)
    assert json.loads(done.stderr.splitlines()[-1]) == {"unreadable": 1, "first": "0:1"}
    damage(1)
    done = call("history", "t0", "--journal", url)
    assert done.returncode == 1
    assert "its record at 0:0 can not be read" in done.stderr
