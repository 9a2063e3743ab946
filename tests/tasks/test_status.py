"""Statuses by the names of the reference: derived from the events, reported details beside them."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from journeyman.journal import Journal
from journeyman.tasks import (
    TERMINAL_TASK_STATUSES,
    AsyncStatusTracker,
    Broker,
    Message,
    StatusTracker,
    StatusUpdate,
    TaskStatus,
    ValidationError,
)
from journeyman.tasks.state import names
from support.both import Both
from support.waiting import wait_until


@pytest.fixture
def journal() -> Iterator[Journal]:
    with Journal("memory://") as opened:
        opened.append(names.JOINED, {"worker": "w", "lease_ms": 60_000})
        yield opened


@pytest.fixture(params=[StatusTracker, AsyncStatusTracker], ids=["sync", "async"])
def tracker(request: pytest.FixtureRequest, journal: Journal) -> Any:
    return Both(request.param(journal, ttl=5_000, enable_pubsub=True))


@pytest.fixture
def message(journal: Journal) -> Message:
    """A message that waits."""
    sent = Message("work", "mail", uuid="mine")
    Broker(journal).submit(sent)
    return sent


def claim(journal: Journal, task: str = "mine") -> int:
    return journal.append(names.CLAIMED, {"task": task, "worker": "w"}, task).offset


def end(journal: Journal, name: str, token: int, task: str = "mine") -> None:
    journal.append(name, {"task": task, "worker": "w", "claim": token, "due": 1.0}, task)


def test_update_is_data() -> None:
    assert StatusUpdate(TaskStatus.RUNNING, {"step": 1}).as_dict() == {"status": "RUNNING", "details": {"step": 1}}
    assert StatusUpdate(TaskStatus.UNKNOWN).as_dict() == {"status": "UNKNOWN", "details": None}
    assert {TaskStatus.FAILED, TaskStatus.SUCCEEDED} == TERMINAL_TASK_STATUSES


def test_names_identify_the_message(message: Message) -> None:
    for kind in (StatusTracker, AsyncStatusTracker):
        assert kind.get_storage_name(message) == "status:mail:work:mine"
        assert kind.get_pubsub_name(message) == "channel:mail:work:mine"


def test_reported_details_are_kept_until_the_status_changes(tracker: Any, journal: Journal, message: Message) -> None:
    token = claim(journal)
    tracker.set(message, TaskStatus.RUNNING, {"step": 1})
    tracker.publish_update(message, StatusUpdate(TaskStatus.RUNNING, {"step": 2}))
    update = tracker.get(message)
    assert (update.status, update.details["step"], update.details["worker"]) == (TaskStatus.RUNNING, 2, "w")
    end(journal, names.SUCCEEDED, token)
    assert "step" not in tracker.get(message).details
    tracker.set(message, TaskStatus.SUCCEEDED, details={"rows": 5})
    assert tracker.get(message).details["rows"] == 5


@pytest.mark.parametrize("ended", [names.FAILED, names.REVOKED, names.RETRIED])
def test_details_are_reported_in_every_state(tracker: Any, journal: Journal, message: Message, ended: str) -> None:
    end(journal, ended, claim(journal))
    status = tracker.get(message).status
    tracker.set(message, status, {"told": "ada"})
    assert tracker.get(message).details["told"] == "ada"


def test_report_never_changes_who_owns_the_task(tracker: Any, journal: Journal, message: Message) -> None:
    token = claim(journal)
    tracker.set(message, TaskStatus.RUNNING, {"step": 1})
    end(journal, names.SUCCEEDED, token)
    assert tracker.get(message).status is TaskStatus.SUCCEEDED


@pytest.mark.parametrize("status", [status for status in TaskStatus if status is not TaskStatus.SUBMITTED])
def test_status_that_contradicts_the_state_is_refused(
    tracker: Any, journal: Journal, message: Message, status: TaskStatus
) -> None:
    before = len(journal.read().events)
    with pytest.raises(ValidationError, match=f"mine is SUBMITTED, so it cannot be set to {status.name}"):
        tracker.set(message, status)
    with pytest.raises(ValidationError, match="is not known to"):
        tracker.set("no such task", status if status is not TaskStatus.UNKNOWN else TaskStatus.RUNNING)
    assert len(journal.read().events) == before


@pytest.mark.parametrize("wrong", [123, "RUNNING", object(), None, [], [1], b"x"])
def test_value_that_is_no_status_is_refused(tracker: Any, message: Message, wrong: Any) -> None:
    with pytest.raises(ValidationError, match="expected a TaskStatus"):
        tracker.wait_for(message, wrong)
    with pytest.raises(ValidationError, match="expected a TaskStatus"):
        tracker.set(message, wrong)


@pytest.mark.parametrize("value", [object(), float("nan"), 2**64, "\ud800"])
def test_details_that_json_cannot_hold_are_refused(tracker: Any, message: Message, value: object) -> None:
    with pytest.raises(ValidationError, match=r"JSON: details\.when"):
        tracker.set(message, TaskStatus.SUBMITTED, {"when": value})


def test_details_that_are_no_dictionary_are_one_value(tracker: Any, message: Message) -> None:
    tracker.set(message, TaskStatus.SUBMITTED, 50)
    assert tracker.get(message).details["details"] == 50
    with pytest.raises(ValidationError, match="an update is a StatusUpdate"):
        tracker.publish_update(message, TaskStatus.SUBMITTED)


def test_deleted_status_is_hidden_until_it_changes(tracker: Any, journal: Journal, message: Message) -> None:
    with pytest.raises(ValidationError, match="still needed"):
        tracker.delete(message)
    tracker.delete(message, False)
    assert not tracker.exists(message)
    with pytest.raises(KeyError, match="was deleted"):
        tracker.get(message)
    with pytest.raises(KeyError, match="was deleted"):
        tracker.delete(message, check=False)
    token = claim(journal)
    assert tracker.get(message).status is TaskStatus.RUNNING
    end(journal, names.FAILED, token)
    tracker.delete(message)
    assert not tracker.exists(message)
    with pytest.raises(KeyError, match="no task"):
        tracker.delete("no such task")


def test_wait_takes_the_arguments_of_the_reference(tracker: Any, journal: Journal, message: Message) -> None:
    assert tracker.wait_for(message, [TaskStatus.SUBMITTED], 5.0, 0.05, True) is TaskStatus.SUBMITTED
    assert tracker.wait_for(message, TaskStatus.RUNNING, 0, 0.05, False) is TaskStatus.SUBMITTED
    with pytest.raises(TimeoutError, match="SUBMITTED after 0 s, not RUNNING"):
        tracker.wait_for(message, TaskStatus.RUNNING, timeout=0, poll_interval=9.0)


def test_listener_gets_statuses_and_reports(tracker: Any, journal: Journal, message: Message) -> None:
    token = claim(journal)
    tracker.set(message, TaskStatus.RUNNING, {"step": 1})
    tracker.set(message, TaskStatus.RUNNING, {"step": 2})
    end(journal, names.SUCCEEDED, token)
    updates = tracker.listen_to_updates(message, True)
    assert [(update.status.name, update.details.get("step")) for update in updates] == [
        ("SUBMITTED", None),
        ("RUNNING", None),
        ("RUNNING", 1),
        ("RUNNING", 2),
        ("SUCCEEDED", None),
    ]


def test_listener_that_waits_ends_a_task_that_lapses(tracker: Any, journal: Journal) -> None:
    sent = Message("work")
    Broker(journal).submit(sent, ttl=50)
    updates = list(tracker.listen_to_updates(sent, timeout=60.0))
    assert [(update.status.name, update.details["reason"]) for update in updates] == [
        ("SUBMITTED", None),
        ("FAILED", "expired"),
    ]


def test_report_reaches_a_listener_that_waits(journal: Journal, message: Message) -> None:
    tracker, seen = StatusTracker(journal), list[Any]()

    def listen() -> None:
        seen.extend((update.details or {}).get("step") for update in tracker.listen_to_updates(message))

    listener = threading.Thread(target=listen)
    listener.start()
    token = claim(journal)
    wait_until(lambda: tracker.get(message).status is TaskStatus.RUNNING, "the task runs")
    tracker.set(message, TaskStatus.RUNNING, {"step": 1})
    end(journal, names.SUCCEEDED, token)
    listener.join(60)
    assert seen == [None, None, 1, None]
