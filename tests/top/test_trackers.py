"""`JournalTracker`: entries by task and by instance, over a journal that several trackers share."""

from collections.abc import Iterator
from pathlib import Path

import journeyman as jm
import pytest
from journeyman.top import HTTPTask, InvalidTask, JournalTracker, NoTrackerAvailableException, get_tracker_by_url_config
from journeyman.top.view import RequestsView


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[jm.Journal]:
    with jm.Journal(f"sqlite:///{tmp_path}/requests.db") as opened:
        yield opened


@pytest.fixture
def tracker(journal: jm.Journal) -> JournalTracker[HTTPTask]:
    return JournalTracker(journal, instance="web-1")


def test_started_task_is_active_until_it_ends(tracker: JournalTracker[HTTPTask]) -> None:
    task = HTTPTask(1, path="/a")
    tracker.start_task(task)
    assert tracker.get_active_tasks() == {1: task}
    task.status_code = 200
    tracker.end_task(task)
    assert tracker.get_active_tasks() == {}
    (ended,) = tracker.get_completed_tasks()
    assert (ended.path, ended.status_code, ended.recorded_successfully) == ("/a", 200, True)
    assert ended.ended_at is not None


def test_completed_tasks_are_the_newest_first_and_bounded(journal: jm.Journal) -> None:
    tracker = JournalTracker(journal, max_completed_tasks=3)
    for number in range(5):
        tracker.start_task(HTTPTask(number))
    for number in (3, 1, 4, 0, 2):
        tracker.end_task(HTTPTask(number))
    assert [task.task_id for task in tracker.get_completed_tasks()] == [2, 0, 4]


def test_second_end_changes_nothing(tracker: JournalTracker[HTTPTask]) -> None:
    tracker.start_task(HTTPTask(1))
    for _ in range(2):
        tracker.end_task(HTTPTask(1))
    assert len(tracker.get_completed_tasks()) == 1


def test_clear_sweeps_only_its_own_instance(journal: jm.Journal, tracker: JournalTracker[HTTPTask]) -> None:
    other = JournalTracker(journal, instance="web-2")
    tracker.start_task(HTTPTask(1))
    other.start_task(HTTPTask(1))
    tracker.clear()
    assert list(tracker.get_active_tasks()) == ["web-2/1"]
    assert list(other.get_active_tasks()) == [1]
    (swept,) = tracker.get_completed_tasks()
    assert swept.recorded_successfully is False
    tracker.end_task(HTTPTask(1))  # too late: it was swept
    assert len(tracker.get_completed_tasks()) == 1


def test_task_without_an_id_is_refused(tracker: JournalTracker[HTTPTask]) -> None:
    with pytest.raises(InvalidTask, match="task_id"):
        tracker.start_task(HTTPTask())


def test_snapshot_restores_the_same_requests(journal: jm.Journal, tracker: JournalTracker[HTTPTask]) -> None:
    for number in range(3):
        tracker.start_task(HTTPTask(number))
    tracker.end_task(HTTPTask(1))
    view, again = RequestsView(), RequestsView()
    for event in journal.read().events:
        view.apply(event)
    again.restore(view.snapshot())
    assert again.active == view.active
    assert again.completed == view.completed


def test_foreign_and_broken_events_change_nothing(journal: jm.Journal, tracker: JournalTracker[HTTPTask]) -> None:
    for context in ({}, {"instance": 5}, {"instance": "web-1"}, {"instance": "web-1", "request": "9", "task": "text"}):
        journal.append("request.ended", context)
    journal.append("order.paid", {"instance": "web-1", "request": "1"})
    assert tracker.get_active_tasks() == {}
    assert tracker.get_completed_tasks() == []


def test_url_names_the_tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOP_TRACKER_URL", f"sqlite:///{tmp_path}/by-url.db")
    assert isinstance(get_tracker_by_url_config(HTTPTask), JournalTracker)
    with pytest.raises(NoTrackerAvailableException, match="sqlite://"):
        get_tracker_by_url_config(HTTPTask, "redis://localhost")
    monkeypatch.delenv("TOP_TRACKER_URL")
    with pytest.raises(NoTrackerAvailableException, match="TOP_TRACKER_URL"):
        get_tracker_by_url_config(HTTPTask)
    monkeypatch.setenv("SPHINX_BUILD", "1")
    assert get_tracker_by_url_config(HTTPTask) is None


def test_ring_size_comes_from_the_environment(journal: jm.Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOP_MAX_COMPLETED_TASKS", "7")
    assert JournalTracker(journal).max_completed_tasks == 7
    with pytest.raises(ValueError, match="1 to 1,000"):
        JournalTracker(journal, max_completed_tasks=0)
