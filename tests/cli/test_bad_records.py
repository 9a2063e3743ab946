"""Every command on a journal with records that no writer of ours makes: none fails, and they are counted."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import apsw
import journeyman as jm
import pytest
from support.malformed import records
from support.waiting import wait_until

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def task(url: str, shop: Path) -> str:
    """A task's id, in a journal of bad records."""
    with jm.Journal(url) as journal:
        journal.append("good.one", {"number": 1})
        message = jm.Message(task_name="add", args=[1, 2], uuid="good-task")
        jm.Broker(journal).submit(message)
        bad(shop)
        journal.append("good.one", {"number": 2})
    return message.uuid


def bad(shop: Path) -> None:
    """Let another program write into the shop's journal."""
    connection = apsw.Connection(str(shop / "shop.db"))
    connection.set_busy_timeout(10_000)
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO events (event) VALUES (?)", [(row,) for row in records(3) if len(row) < 10_000])
    connection.execute("COMMIT")
    connection.close()


def test_commands_pass_over_bad_records_and_count_them(call: Run, url: str, task: str, shop: Path) -> None:
    def said(*arguments: str) -> "subprocess.CompletedProcess[str]":
        done = call(*arguments, "--journal", url)
        assert done.returncode == 0, (arguments, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    tailed = said("tail", "--no-follow", "--json")
    told = json.loads(tailed.stderr)
    with jm.Journal(url) as journal:
        assert tailed.stdout.count("\n") + told["unreadable"] == sum(journal.bounds().end.values())
        partition, offset = map(int, told["first"].split(":"))
        with pytest.raises(jm.UnreadableRecord):
            journal.read({partition: offset}, 1)
    assert f"{told['unreadable']:,} records are no events" in said("tail", "--no-follow").stderr
    exported = said("export", "all.jsonl")
    assert f"{told['unreadable']:,} records are no events" in exported.stderr
    assert call("export", "none.jsonl", "--stop-at-bad", "--journal", url).returncode == 2
    assert "unreadable" in said("status").stdout
    assert json.loads(said("status", "--json").stdout)["totals"]["unreadable"] > 100
    said("status", "--as-of", "1s")
    said("consumers")
    said("consumers", "--json")
    said("consumers", "parked", "kept")
    unreadable = json.loads(said("status", "--json").stdout)["totals"]["unreadable"]
    counted = f"{unreadable:,} records are no events, or not as tasks and workers write, and were left out"
    assert counted in said("why", task).stderr
    said("history", task)
    said("history", "poison")
    assert json.loads(said("why", "poison", "--json").stderr) == {"unreadable": unreadable}
    imported = json.loads(said("import", "all.jsonl", "--skip-bad", "--json").stdout)
    assert 0 < imported["unreadable"] <= told["unreadable"]
    assert (
        f"{imported['unreadable']:,} records of the journal could not be read"
        in said("import", "all.jsonl", "--skip-bad").stdout
    )
    assert counted in said("compact", "--keep", "1d").stderr


def test_worker_runs_tasks_despite_bad_records(start: Start, url: str, task: str, shop: Path) -> None:
    worker = start("worker", "shop.tasks", "--journal", url)
    with jm.Journal(url) as journal:
        results = jm.ResultStore(journal)
        assert results.get(task, timeout=60_000) == 3
        bad(shop)
        later = jm.Message(task_name="add", args=[3, 4])
        jm.Broker(journal).submit(later)
        assert results.get(later, timeout=60_000) == 7
    assert worker.poll() is None
    worker.terminate()
    wait_until(lambda: worker.poll() is not None, "the worker to leave")
    assert worker.stderr is not None
    log = worker.stderr.read()
    assert worker.returncode == 0, log
    assert "is passed over" in log
    assert "Traceback" not in log
