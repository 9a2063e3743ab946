"""`journeyman compact` on a queue in use: it prints what it removes, and workers go on."""

import json
import subprocess
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

import journeyman as jm
import msgspec
import pytest
from journeyman.journal.event import Draft
from journeyman.tasks.inspection.wording import when

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]
DAY = 86_400.0


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def either(request: pytest.FixtureRequest, url: str) -> str:
    """A journal's URL, on a file and on Kafka."""
    if request.param == "sqlite":
        return url
    return f"kafka://{request.getfixturevalue('kafka_bootstrap')}/test-{uuid.uuid4()}"


def old_events(journal: jm.Journal, count: int, days: float) -> list[jm.Event]:
    """So many events, a second apart, the first of them so many days ago."""
    begin = time.time() - days * DAY
    return journal.append_drafts([Draft("thing.made", timestamp=begin + number) for number in range(count)])


def submitted_long_ago(journal: jm.Journal, days: float) -> jm.Event:
    context = {"task": "held", "task_name": "add", "args": [2, 3]}
    stamp = time.time() - days * DAY
    return journal.append_drafts([Draft("task.submitted", msgspec.json.encode(context), "held", timestamp=stamp)])[0]


def test_compact_previews_acts_and_reports(call: Run, either: str) -> None:
    with jm.Journal(either) as journal:
        old_events(journal, 20, 40)
        kept = old_events(journal, 5, 10)
    begins = f"begin at 0:20, {_utc(kept[0].timestamp)}"
    done = call("compact", "--keep", "30d", "--dry-run", "--journal", either)
    assert done.stdout.splitlines() == [f"would remove 20 of 25 events from {either}", f"history would {begins}"], done
    done = call("compact", "--keep", "30d", "--journal", either)
    assert done.stdout.splitlines()[:2] == [
        f"removed 20 of 25 events from {either}",
        f"history {begins.replace('begin', 'begins', 1)}",
    ], done.stderr
    assert done.stdout.splitlines()[2].startswith("a snapshot of the queue stands for what was removed: ")
    with jm.Journal(either) as journal:
        assert journal.bounds().first[0] == 20
    done = call("compact", "--keep", "30d", "--journal", either)
    assert done.stdout.startswith(f"nothing to remove from {either}: 5 events, none of them older and free to go\n")


def _utc(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="microseconds")


def test_task_holding_back_history_is_named_and_still_runs(call: Run, start: Start, either: str) -> None:
    with jm.Journal(either) as journal:
        old_events(journal, 20, 40)
        task = submitted_long_ago(journal, 35)
        old_events(journal, 10, 33)
        done = call("compact", "--keep", "30d", "--journal", either)
        assert done.stdout.splitlines()[2] == (
            f"held back: 11 older events of partition 0, by the task held (add), submitted {when(task.timestamp)} at "
            "0:20, which waits to be run"
        )
        assert journal.bounds().first[0] == 20
        start("worker", "shop.tasks", "--journal", either)
        assert jm.StatusTracker(journal).wait_for("held", jm.TaskStatus.SUCCEEDED, timeout=60)
        assert jm.ResultStore(journal).get("held", keep=True) == 5


def test_request_for_removed_history_names_its_beginning(call: Run, url: str) -> None:
    with jm.Journal(url) as journal:
        gone = old_events(journal, 20, 40)
        (first, *_) = old_events(journal, 5, 10)
        assert call("compact", "--keep", "30d", "--journal", url).returncode == 0
        with pytest.raises(jm.HistoryTruncated) as refused:
            journal.read({0: gone[3].offset})
        assert (refused.value.first_offset, refused.value.first_time) == (20, first.timestamp)
        assert f"begins at offset 20 ({_utc(first.timestamp)})" in str(refused.value)


def test_compact_reports_as_json(call: Run, url: str) -> None:
    with jm.Journal(url) as journal:
        old_events(journal, 3, 40)
        submitted_long_ago(journal, 35)
    done = call("compact", "--keep", "30d", "--json", "--journal", url)
    said = json.loads(done.stdout)
    begins = said.pop("begins")
    assert time.time() - 36 * DAY < begins < time.time() - 34 * DAY
    assert said == {
        "journal": url,
        "removed": 3,
        "removable": 3,
        "first": "0:0",
        "before": "0:3",
        "end": "0:4",
        "held_back": [{"partition": 0, "offset": 3, "task": "held", "view": None}],
        "lost_dead_letters": 0,
        "snapshots": ["tasks"],
        "carried_checkpoints": [],
        "carried_parked": 0,
    }


def test_senseless_compact_options_are_refused(call: Run, url: str) -> None:
    assert "there is no journal" in call("compact", "--keep", "30d", "--journal", url).stderr
    with jm.Journal(url):
        pass
    for keep, sentence in (
        ("soon", "--keep takes a time such as"),
        ("2099-01-01", "lies ahead"),
        ("2999-01-01", "more than a century ahead"),
    ):
        done = call("compact", "--keep", keep, "--journal", url)
        assert done.returncode == 2
        assert sentence in done.stderr
    assert "--keep" in call("compact", "--journal", url).stderr


def test_running_workers_continue_during_compaction(call: Run, start: Start, url: str) -> None:
    with jm.Journal(url) as journal:
        old_events(journal, 30, 40)
        start("worker", "shop.tasks", "--journal", url)
        broker, tracker = jm.Broker(journal), jm.StatusTracker(journal)
        for round_ in range(3):
            message = jm.Message(task_name="add", args=[round_, 1])
            broker.submit(message)
            tracker.wait_for(message, jm.TaskStatus.SUCCEEDED, timeout=60)
            if round_ == 1:
                assert call("compact", "--keep", "30d", "--journal", url).stdout.startswith("removed 30 of ")
        start("worker", "shop.tasks", "--journal", url)  # a new one begins with the snapshot
        message = jm.Message(task_name="add", args=[5, 5])
        broker.submit(message)
        tracker.wait_for(message, jm.TaskStatus.SUCCEEDED, timeout=60)
