"""`journeyman status`, as a process beside real workers."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import journeyman as jm
import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]


def _submit(journal: jm.Journal, name: str, *args: object, **more: object) -> str:
    message = jm.Message(task_name=name, args=list(args), **more)  # type: ignore[arg-type]
    jm.Broker(journal).submit(message)
    return message.uuid


@pytest.fixture
def shown(start: Start, call: Run, url: str, shop: Path) -> dict[str, str]:
    """What status shows while one task runs, one is delayed, one is dead, and no worker knows a fourth."""
    pipe = shop / "pipe"
    os.mkfifo(pipe)
    with jm.Journal(url) as journal:
        worker = start("worker", "shop.tasks", "--journal", url, "--queues", "default,spare", "--threads", "3")
        dead = _submit(journal, "paint", "sepia", max_retries=0)
        running = _submit(journal, "read", str(pipe))
        _submit(journal, "add", 1, 2, delay=600_000)
        _submit(journal, "resize", queue="bulk")
        with pipe.open("w"):  # returns when the task has opened its end: it runs
            jm.StatusTracker(journal).wait_for(dead, jm.TaskStatus.FAILED, timeout=60)
            shown = {
                "plain": call("status", "--journal", url).stdout,
                "json": call("status", "--journal", url, "--json").stdout,
                "terminal": _on_terminal(shop, 80, "status", "--journal", url),
                "pid": str(worker.pid),
            }
        jm.StatusTracker(journal).wait_for(running, jm.TaskStatus.SUCCEEDED, timeout=60)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=60) == 0
    return shown


def _on_terminal(shop: Path, columns: int, *arguments: str) -> str:
    """The output of a command on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": str(columns), "LINES": "40"}
    command = [sys.executable, "-m", "journeyman", *arguments]
    with subprocess.Popen(command, cwd=shop, env=environment, stdin=subprocess.DEVNULL, stdout=theirs) as process:
        os.close(theirs)
        seen = b""
        while select.select([ours], [], [], 30)[0]:
            try:
                more = os.read(ours, 65_536)
            except OSError:  # the other end is closed
                break
            seen += more
        assert process.wait(timeout=60) == 0
    os.close(ours)
    return seen.decode()


def test_status_in_a_pipe_is_aligned_and_without_colours(shown: dict[str, str]) -> None:
    lines = shown["plain"].splitlines()
    assert "\x1b" not in shown["plain"]
    assert all(line == line.rstrip() for line in lines)
    columns = ["queue", "ready", "delayed", "claimed", "oldest", "dead", "workers"]
    queues = lines[next(index for index, line in enumerate(lines) if line.split() == columns) :]
    bulk, default, spare = (line.split() for line in queues[1:4])
    assert bulk[:4] == ["bulk", "1", "0", "0"]
    assert default == ["default", "0", "1", "1", "-", "1", "1"]
    assert spare == ["spare", "0", "0", "0", "-", "0", "1"]
    for column in columns[1:]:  # whatever the ages there need, cells end where their column's head ends
        end = queues[0].index(column) + len(column)
        assert all(line[end - 1] != " " and line[end : end + 1] in ("", " ") for line in queues[1:4])
    worker = next(line for line in lines if line.startswith("…"))
    assert f" {shown['pid']}  1 of 3 " in worker
    assert "default and spare" in worker
    assert worker.endswith("add, paint, read")
    assert "! 1 task resize in queue bulk: no live worker can run it" in lines
    assert "dead letters  1: 1 paint" in lines


def test_status_on_a_terminal_fits_and_is_coloured(shown: dict[str, str]) -> None:
    assert "\x1b[" in shown["terminal"]
    lines = [_without_colours(line) for line in shown["terminal"].splitlines()]
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert any(line.startswith("…") and f" {shown['pid']}  1 of 3 " in line for line in lines)


def _without_colours(line: str) -> str:
    parts = line.split("\x1b[")
    return parts[0] + "".join(part.partition("m")[2] for part in parts[1:])


def test_status_json_has_the_facts(shown: dict[str, str]) -> None:
    facts = json.loads(shown["json"])
    queues = {queue["name"]: queue for queue in facts["queues"]}
    assert set(queues) == {"bulk", "default", "spare"}
    assert queues["bulk"]["oldest_seconds"] >= 0
    assert queues["default"]["oldest_seconds"] is None
    (worker,) = facts["workers"]
    assert worker["pid"] == int(shown["pid"])
    assert worker["tasks"] == ["add", "paint", "read"]
    assert worker["queues"] == ["default", "spare"]
    assert (worker["claims"], worker["slots"], worker["overdue"]) == (1, 3, False)
    assert worker["last_sign"] >= worker["joined_at"]
    orphans = {"task": "resize", "queue": "bulk", "waiting": 1, "function": "", "others": []}
    assert facts["waiting_for_nobody"] == [orphans]
    assert facts["dead_letters"] == {"paint": 1}
    assert facts["totals"]["delayed"] == 1
    assert facts["totals"]["counted_since"] is None
    assert facts["totals"]["submitted"] == sum(
        facts["totals"][kind] for kind in ("ready", "delayed", "claimed", "succeeded", "revoked", "dead")
    )


def test_status_as_of_shows_the_past_state(call: Run, url: str) -> None:
    with jm.Journal(url) as journal:
        first = jm.Broker(journal).submit(jm.Message(task_name="add"))
        second = jm.Broker(journal).submit(jm.Message(task_name="add", queue="later"))
    for moment, queues in (
        (first.timestamp - 1, []),
        (first.timestamp, ["default"]),
        (second.timestamp, ["default", "later"]),
    ):
        facts = json.loads(call("status", "--journal", url, "--json", "--as-of", f"{moment:.6f}").stdout)
        assert [queue["name"] for queue in facts["queues"]] == queues
        assert facts["as_of"] == moment
    shown = call("status", "--journal", url, "--as-of", f"{first.timestamp:.6f}").stdout
    assert "as of 2" in shown.splitlines()[0]
    assert "later" not in shown


def test_status_watch_follows_the_journal(start: Start, url: str) -> None:
    with jm.Journal(url) as journal:
        _submit(journal, "add", 1, 2)
        watching = start("status", "--journal", url, "--watch", "--json")
        assert watching.stdout is not None
        assert json.loads(watching.stdout.readline())["totals"]["ready"] == 1
        _submit(journal, "add", 1, 2)
        assert json.loads(watching.stdout.readline())["totals"]["ready"] == 2
        watching.send_signal(signal.SIGINT)
        _, err = watching.communicate(timeout=60)
        assert watching.returncode == 130
        assert "Traceback" not in err


def test_status_refuses_watch_together_with_as_of(call: Run, url: str) -> None:
    asked = call("status", "--journal", url, "--watch", "--as-of", "10m")
    assert (asked.returncode, asked.stdout) == (2, "")
    assert "choose one" in asked.stderr
