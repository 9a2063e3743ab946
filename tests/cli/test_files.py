"""`journeyman export` and `journeyman import`, as people and scripts use them."""

import gzip
import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import journeyman as jm
import pytest
from support.waiting import wait_until

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]


def fill(url: str, count: int = 20) -> None:
    with jm.Journal(url) as journal:
        journal.append_all([("order.paid", {"order": number}, f"k{number % 3}") for number in range(count)])
        journal.append("task.submitted", {"task": "t", "task_name": "work"}, key="t")


def beside(url: str) -> str:
    """The URL of a journal that is not there yet, of the same kind."""
    if url.startswith("kafka"):
        return f"{url.rpartition('/')[0]}/test-{uuid.uuid4()}?partitions=2"
    return url.replace(".db", f"-{uuid.uuid4()}.db")


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def either(request: pytest.FixtureRequest, url: str) -> str:
    """A journal's URL, on a file and on Kafka."""
    if request.param == "sqlite":
        return url
    return f"kafka://{request.getfixturevalue('kafka_bootstrap')}/test-{uuid.uuid4()}?partitions=2"


def test_export_import_export_gives_the_same_bytes(call: Run, shop: Path, either: str) -> None:
    fill(either)
    for name in ("one.jsonl", "one.jsonl.gz"):
        done = call("export", name, "--journal", either)
        assert (done.returncode, done.stdout) == (0, f"exported 21 of 21 events of {either} to {name}\n"), done.stderr
    copy = beside(either)
    done = call("import", "one.jsonl.gz", "--journal", copy)
    assert (done.returncode, done.stdout) == (0, f"imported 21 events from one.jsonl.gz into {copy}\n"), done.stderr
    done = call("import", "one.jsonl", "--journal", copy, "--json")
    assert json.loads(done.stdout) == {
        "lines": 21,
        "added": 0,
        "known": 21,
        "restamped": 0,
        "bad": 0,
        "unreadable": 0,
        "reasons": [],
    }
    call("export", "two.jsonl.gz", "--journal", copy)
    assert (shop / "two.jsonl.gz").read_bytes() == (shop / "one.jsonl.gz").read_bytes()
    assert gzip.decompress((shop / "two.jsonl.gz").read_bytes()) == (shop / "one.jsonl").read_bytes()


def test_exported_line_holds_all_fields_of_an_event(call: Run, shop: Path, url: str) -> None:
    with jm.Journal(url) as journal:
        event = journal.append("order.paid", {"order": 7}, key="7")
    done = call("export", "-", "--journal", url)
    assert json.loads(done.stdout) == {
        "timestamp": event.timestamp,
        "name": "order.paid",
        "context": {"order": 7},
        "key": "7",
        "writer": event.writer,
        "seq": 1,
        "version": 1,
        "position": "0:0",
    }
    assert done.stderr == f"exported 1 of 1 events of {url} to -\n"


def test_export_selects_by_topic_key_and_time(call: Run, shop: Path, url: str) -> None:
    fill(url)
    done = call("export", "-", "--journal", url, "--topic", "order", "--key", "k1", "--since", "1h")
    assert [json.loads(line)["context"]["order"] for line in done.stdout.splitlines()] == [1, 4, 7, 10, 13, 16, 19]
    assert call("export", "-", "--journal", url, "--until", "1h").stdout == ""
    done = call("export", "-", "--journal", url, "--json", "--topic", "task")
    assert json.loads(done.stderr) == {"events": 1, "looked_at": 21, "skipped": 0, "file": "-"}


def test_export_and_import_work_through_a_pipe(call: Run, shop: Path, url: str) -> None:
    fill(url)
    copy = beside(url)
    lines = call("export", "-", "--journal", url).stdout
    done = subprocess.run(
        [sys.executable, "-m", "journeyman", "import", "-", "--journal", copy],
        input=lines,
        text=True,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == f"imported 21 events from stdin into {copy}\n"
    assert call("export", "-", "--journal", copy).stdout == lines


def test_existing_file_is_replaced_only_on_request(call: Run, shop: Path, url: str) -> None:
    fill(url)
    (shop / "a.jsonl").write_text("precious")
    done = call("export", "a.jsonl", "--journal", url)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "journeyman: a.jsonl is there already; name another file, or say --overwrite\n"
    assert (shop / "a.jsonl").read_text() == "precious"
    assert call("export", "a.jsonl", "--journal", url, "--overwrite").returncode == 0
    assert len((shop / "a.jsonl").read_text().splitlines()) == 21


def test_failed_export_leaves_no_file(call: Run, shop: Path, url: str) -> None:
    assert call("export", "a.jsonl", "--journal", url).returncode == 2
    fill(url)
    assert call("export", "no/such/a.jsonl", "--journal", url).returncode == 2
    assert not list(shop.glob("*a.jsonl*"))


def test_bad_lines_are_named_or_left_out_and_counted(call: Run, shop: Path, url: str) -> None:
    fill(url, 2)
    call("export", "a.jsonl", "--journal", url)
    lines = (shop / "a.jsonl").read_text().splitlines()
    (shop / "b.jsonl").write_text("\n".join([lines[0], '{"timestamp": 1}', lines[1], "what?", lines[2]]) + "\n")
    copy = beside(url)
    done = call("import", "b.jsonl", "--journal", copy)
    assert done.returncode == 2
    assert done.stdout == f"imported 1 events from b.jsonl into {copy}\n"
    assert done.stderr.startswith(
        "journeyman: line 2: Object missing required field `name`; expected an event such as {"
    )
    done = call("import", "b.jsonl", "--journal", copy, "--skip-bad", "--json")
    assert done.returncode == 0
    said = json.loads(done.stdout)
    assert (said["added"], said["known"], said["bad"]) == (2, 1, 2)
    assert [reason.partition(":")[0] for reason in said["reasons"]] == ["line 2", "line 4"]
    assert done.stderr.count("\n") == 2


def test_task_events_are_imported_elsewhere_only_on_request(call: Run, shop: Path, url: str) -> None:
    fill(url)
    call("export", "tasks.jsonl", "--journal", url, "--topic", "task")
    copy = beside(url)
    done = call("import", "tasks.jsonl", "--journal", copy)
    assert done.returncode == 2
    assert "line 1: the event 'task.submitted' was at 0:20 and would be at 0:0" in done.stderr
    assert call("import", "tasks.jsonl", "--journal", copy, "--moved").stdout.startswith("imported 1 events")


def test_copied_queue_is_the_same_queue(call: Run, start: Start, shop: Path, url: str) -> None:
    """Done tasks stay done, waiting ones run: the workers of the copy see what those of the original saw."""
    submitted = [(number, str(uuid.uuid4())) for number in range(3)]
    with jm.Journal(url) as journal:
        for number, task in submitted[:2]:
            journal.append("task.submitted", {"task": task, "task_name": "add", "args": [1, number]}, key=task)
        worker = start("worker", "shop.tasks", "--journal", url)
        tracker = jm.StatusTracker(journal)
        for _, task in submitted[:2]:
            tracker.wait_for(task, jm.TaskStatus.SUCCEEDED, timeout=60)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=60) == 0
        number, task = submitted[2]
        journal.append("task.submitted", {"task": task, "task_name": "add", "args": [1, number]}, key=task)
    call("export", "queue.jsonl.gz", "--journal", url)
    copy = beside(url)
    assert call("import", "queue.jsonl.gz", "--journal", copy).returncode == 0
    with jm.Journal(copy) as journal:
        start("worker", "shop.tasks", "--journal", copy)
        tracker, results = jm.StatusTracker(journal), jm.ResultStore(journal)
        tracker.wait_for(submitted[2][1], jm.TaskStatus.SUCCEEDED, timeout=60)
        for number, task in submitted:
            details = tracker.get(task).details
            assert details is not None
            assert details["attempts"] == 1
            assert results.get(task, keep=True) == 1 + number


def test_killed_import_is_resumed(call: Run, shop: Path, url: str) -> None:
    fill(url, 5_000)
    call("export", "a.jsonl", "--journal", url)
    copy = beside(url)
    lines = (shop / "a.jsonl").read_bytes().splitlines(keepends=True)
    command = [sys.executable, "-m", "journeyman", "import", "-", "--journal", copy]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as killed:
        assert killed.stdin is not None
        killed.stdin.write(b"".join(lines[:3_500]))
        killed.stdin.flush()

        def begun() -> bool:
            if not Path(copy.removeprefix("sqlite:///")).exists():
                return False
            with jm.Journal(copy) as journal:
                return journal.bounds().end[0] > 0

        wait_until(begun, "the import to have appended something")
        killed.kill()
    done = json.loads(call("import", "a.jsonl", "--journal", copy, "--json").stdout)
    assert done["added"] + done["known"] == 5_001
    assert 0 < done["known"] <= 3_500
    call("export", "b.jsonl", "--journal", copy)
    assert (shop / "a.jsonl").read_bytes() == (shop / "b.jsonl").read_bytes()


def test_truncated_or_invalid_packed_file_is_named(call: Run, shop: Path, url: str) -> None:
    fill(url, 5_000)
    call("export", "a.jsonl.gz", "--journal", url)
    whole = (shop / "a.jsonl.gz").read_bytes()
    (shop / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    (shop / "plain.jsonl.gz").write_text("{}")
    done = call("import", "cut.jsonl.gz", "--journal", beside(url))
    assert done.returncode == 2
    assert "cut.jsonl.gz cannot be read on at line" in done.stderr
    done = call("import", "plain.jsonl.gz", "--journal", beside(url))
    assert "plain.jsonl.gz cannot be read on at line 1" in done.stderr
    done = call("import", "none.jsonl", "--journal", beside(url))
    assert done.stderr == "journeyman: none.jsonl cannot be read: No such file or directory\n"


def test_foreign_lines_are_imported_under_a_named_writer(call: Run, shop: Path, url: str) -> None:
    (shop / "old.log").write_text(
        '{"timestamp": 1.5, "name": "door.opened"}\n{"timestamp": 2, "name": "door.closed"}\n'
    )
    assert "give a writer" in call("import", "old.log", "--journal", url).stderr
    assert call("import", "old.log", "--journal", url, "--writer", "doors-2025").stdout.startswith("imported 2 events")
    assert "imported 0 events" in call("import", "old.log", "--journal", url, "--writer", "doors-2025").stdout
    assert call("import", "old.log", "--journal", url, "--writer", "no spaces").returncode == 2
