"""Progress that running tasks report: it reaches readers, by real workers of each mechanism, at a bounded rate."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import journeyman as jm
import pytest
from journeyman.cli.app import main
from journeyman.tasks.limits import (
    PROGRESS_INTERVAL_SECONDS_MAX,
    PROGRESS_TEXT_CHARS_MAX,
    PROGRESS_VALUE_BYTES_MAX,
)
from journeyman.tasks.progress import report_interval
from journeyman.tasks.state import names
from journeyman.tasks.state.decoding import TaskContext
from journeyman.workers.executors.pipeline import Job, SessionLease
from journeyman.workers.executors.reported import Reported
from journeyman.workers.loop.drafts import progress_entries
from support.states import claimed_task
from support.waiting import wait_until
from task_modules import reporting_tasks

OPTIONS = {
    "thread": ("--threads", "2"),
    "group": ("--threads", "2", "--thread-processes", "1"),
    "process": ("--processes", "2"),
    "async": ("--coroutines", "2"),
}


@contextmanager
def worker(tmp_path: Path, mechanism: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[jm.Journal]:
    url = f"sqlite:///{tmp_path}/progress.db"
    monkeypatch.setenv("YARD", str(tmp_path))
    command = [sys.executable, "-m", "journeyman", "worker", "task_modules.reporting_tasks", "--journal", url]
    command += ["--mechanism", mechanism.replace("group", "thread"), *OPTIONS[mechanism]]
    with (
        jm.Journal(url) as journal,
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            command,
            cwd=Path(reporting_tasks.__file__).parents[1],
            env=dict(os.environ),
            stdout=subprocess.DEVNULL,
            stderr=log,
        ) as process,
    ):
        try:
            yield journal
            process.terminate()
            assert process.wait(60) == 0
        finally:
            process.kill()


def task_of(name: str, mechanism: str, journal: jm.Journal) -> jm.Task[Any, Any]:
    task: jm.Task[Any, Any] = vars(reporting_tasks)[f"{name}_{mechanism.replace('group', 'thread')}"]
    task.broker.bind(journal)
    return task


LAST = {"progress": {"done": 500, "total": 500, "text": "counting"}, "value": {"last": 500}}


@pytest.mark.parametrize("mechanism", OPTIONS)
def test_latest_progress_of_a_running_task_is_shown(
    tmp_path: Path, mechanism: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with worker(tmp_path, mechanism, monkeypatch) as journal:
        message = task_of("hold", mechanism, journal).generate([500])
        tracker = jm.StatusTracker(journal)

        def reported() -> dict[str, Any]:
            details = tracker.get(message).details or {}
            return {name: details[name] for name in LAST if name in details}

        wait_until(lambda: reported() == LAST, "the last report", timeout=60.0)
        assert tracker.get(message).status is jm.TaskStatus.RUNNING
        main(["why", message.uuid, "--journal", f"sqlite:///{tmp_path}/progress.db"])
        assert "It last reported: 500 of 500: counting" in " ".join(capsys.readouterr().out.split())
        (tmp_path / "end").touch()
        assert jm.ResultStore(journal).get(message, timeout=60_000) == 500
        assert "progress" not in (tracker.get(message).details or {}), "it runs no more"


@pytest.mark.parametrize("mechanism", OPTIONS)
def test_last_report_comes_before_the_outcome(tmp_path: Path, mechanism: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with worker(tmp_path, mechanism, monkeypatch) as journal:
        message = task_of("count", mechanism, journal).generate([500])
        assert jm.ResultStore(journal).get(message, timeout=60_000) == 500
        events = [each for each in journal.read().events if each.key == message.uuid]
        reports = [each for each in events if each.name == names.PROGRESSED]
        assert {name: reports[-1].context[name] for name in LAST} == LAST
        assert events[events.index(reports[-1]) + 1].name == names.SUCCEEDED
        assert len(reports) < 400, "of 501 reports, coalesced"
        updates = list(jm.StatusTracker(journal).listen_to_updates(message))
        assert {"RUNNING", "SUCCEEDED", "SUBMITTED"} == {each.status.name for each in updates}
        assert any((each.details or {}).get("progress") == LAST["progress"] for each in updates)


def test_message_of_no_running_task_reports_nothing() -> None:
    with pytest.raises(jm.TaskError, match="while the task runs"):
        jm.Message("work").progress(1)
    with pytest.raises(jm.TaskError, match="while the task runs"):
        jm.Message("work").emit(1)


@pytest.mark.parametrize(
    "arguments",
    [
        (-1,),
        (True,),
        ("1",),
        (float("nan"),),
        (1, -1),
        (1, "2"),
        (1, 2, 3),
        (1, 2, "x" * (PROGRESS_TEXT_CHARS_MAX + 1)),
    ],
)
def test_progress_of_another_form_is_refused(arguments: Any) -> None:
    with pytest.raises(jm.ValidationError):
        jm.Message("work").progress(*arguments)


@pytest.mark.parametrize("value", [object(), {1}, float("inf"), "x" * PROGRESS_VALUE_BYTES_MAX])
def test_value_that_no_event_holds_is_refused(value: Any) -> None:
    with pytest.raises(jm.ValidationError):
        jm.Message("work").emit(value)


def test_reports_of_a_run_are_taken_once_and_at_a_pace() -> None:
    woken: list[None] = []
    reported = Reported(lambda: woken.append(None))
    for step in b"123":
        reported.put("run", "progress", bytes([step]))
    assert len(woken) == 1
    assert reported.take() == [("run", {"progress": b"3"})]
    assert reported.take() == []
    assert reported.end("run") == {}, "all was taken"
    reported.put("run", "progress", b"4")
    assert reported.take() == [("run", {"progress": b"4"})]
    reported.put("run", "value", b"5")
    assert reported.end("run") == {"progress": b"4", "value": b"5"}
    assert reported.take() == []


@pytest.mark.parametrize(("hours", "most"), [(1 / 60, 601), (1, 3_100), (24, 11_500)])
def test_reports_of_a_long_run_become_rare(hours: float, most: int) -> None:
    now = [1_000.0]
    reported, taken = Reported(clock=lambda: now[0]), 0
    while now[0] < 1_000.0 + hours * 3_600:
        reported.put("run", "progress", b"1")
        taken += len(reported.take())
        reported.put("run", "progress", b"2")
        assert reported.next_at is not None
        assert reported.next_at - now[0] <= PROGRESS_INTERVAL_SECONDS_MAX + 1e-6
        now[0] = reported.next_at
    assert most * 0.95 < taken <= most


@pytest.mark.parametrize(("running", "interval"), [(0.0, 0.1), (60.0, 0.1), (600.0, 1.0), (6_000.0, 10.0), (1e9, 10.0)])
def test_interval_of_reports_grows_with_the_run(running: float, interval: float) -> None:
    assert report_interval(running) == pytest.approx(interval)


def test_report_of_a_claim_by_a_clock_ahead_is_taken() -> None:
    assert report_interval(-60.0) == pytest.approx(0.1)


@pytest.mark.parametrize("holds", [True, False])
def test_report_is_written_only_by_the_owner(holds: bool) -> None:
    reported = Reported()
    job = Job(claimed_task("t", 7, 9, 1, name="work"), SessionLease("worker", 0, reported), 9 if holds else 8, b"", 0)
    reported.put(job, "progress", b'{"done":1}')
    entries = progress_entries(reported)
    assert [(entry.draft.name, entry.fact.claim) for entry in entries if isinstance(entry.fact, TaskContext)] == (
        [(names.PROGRESSED, 9)] if holds else []
    )
    assert reported.next_at is None
