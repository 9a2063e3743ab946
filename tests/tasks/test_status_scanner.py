"""The scanner returns the tasks of workers that are gone, and of no others."""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import journeyman as jm
import pytest
from journeyman.tasks import StatusTrackerIntegrityScanner, StatusTrackerIntegryScanner
from journeyman.tasks.state import names
from support.waiting import wait_until

LEASE_MS = 100


@pytest.fixture
def journal() -> Iterator[jm.Journal]:
    """A journal in which the worker `w` runs the task `t`."""
    with jm.Journal("memory://") as opened:
        opened.append(names.JOINED, {"worker": "w", "lease_ms": LEASE_MS})
        jm.Broker(opened).submit(jm.Message("work", uuid="t"))
        opened.append(names.CLAIMED, {"task": "t", "worker": "w"}, "t")
        yield opened


class Never:
    """A trigger that never fires."""

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        return None


def status_of(journal: jm.Journal) -> tuple[str, Any]:
    status, details = jm.StatusTracker(journal).get("t")
    assert details is not None
    return status.name, details["attempts"]


def test_task_of_a_silent_worker_returns(journal: jm.Journal) -> None:
    with StatusTrackerIntegryScanner(jm.StatusTracker(journal), jm.Broker(journal), Never()) as scanner:
        assert scanner.scan() == ["t"]
        assert status_of(journal) == ("RETRYING", 1)
        assert scanner.scan() == []
    assert StatusTrackerIntegryScanner is StatusTrackerIntegrityScanner


def test_task_of_a_living_worker_stays(journal: jm.Journal) -> None:
    over = threading.Event()

    def live() -> None:
        while not over.wait(LEASE_MS / 10_000):
            journal.append(names.BEAT, {"worker": "w"})

    living = threading.Thread(target=live)
    living.start()
    try:
        with StatusTrackerIntegrityScanner(jm.StatusTracker(journal), trigger=Never()) as scanner:
            assert scanner.scan() == []
    finally:
        over.set()
        living.join()
    assert status_of(journal) == ("RUNNING", 1)


def test_scanner_scans_by_its_trigger(journal: jm.Journal) -> None:
    class Often:
        def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
            return now + timedelta(milliseconds=1)

    with StatusTrackerIntegrityScanner(jm.StatusTracker(journal), trigger=Often()):
        wait_until(lambda: status_of(journal) == ("RETRYING", 1), "the task returns")


def test_default_trigger_fires_hourly(journal: jm.Journal) -> None:
    with StatusTrackerIntegrityScanner(jm.StatusTracker(journal)) as scanner:
        now = datetime.fromisoformat("2026-11-30T12:00:00+00:00")
        first = scanner.trigger.get_next_fire_time(now, now)
        assert first == now + timedelta(hours=1)


def test_what_is_no_tracker_of_the_journal_is_refused(journal: jm.Journal) -> None:
    wrong: Any = "sqlite:///shop.db"
    with pytest.raises(jm.ValidationError, match="takes a StatusTracker"):
        StatusTrackerIntegrityScanner(wrong)
    with pytest.raises(jm.ValidationError, match="a scanner is of one journal"):
        StatusTrackerIntegrityScanner(jm.StatusTracker(journal), jm.Broker("memory://other"))
