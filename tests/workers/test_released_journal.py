"""A journal of the released version is read, worked and finished by this one.

`released_journal.db.gz` was written by the program at commit adeced0: tasks that succeeded, failed for good, wait for
their next attempt, were revoked, wait, are delayed, and one whose worker has died with it.
"""

import gzip
from collections.abc import Iterator
from pathlib import Path

import journeyman as jm
import pytest
from support.waiting import wait_until
from support.workers import working

WRITTEN = Path(__file__).parent / "released_journal.db.gz"
EVENTS = 19
STATUSES = {
    "done": jm.TaskStatus.SUCCEEDED,
    "dead": jm.TaskStatus.FAILED,
    "retried": jm.TaskStatus.RETRYING,
    "claimed": jm.TaskStatus.RUNNING,
    "waiting": jm.TaskStatus.SUBMITTED,
    "delayed": jm.TaskStatus.SUBMITTED,
    "later": jm.TaskStatus.SUBMITTED,
    "revoked": jm.TaskStatus.FAILED,
}

broker = jm.Broker()


@jm.task(broker, name="add")
def add(a: int, b: int) -> int:
    return a + b


@jm.task(broker, name="fail")
def fail(x: int) -> int:
    return x


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The journal, unpacked."""
    path = tmp_path / "released.db"
    path.write_bytes(gzip.decompress(WRITTEN.read_bytes()))
    return f"sqlite:///{path}"


@pytest.fixture
def journal(url: str) -> Iterator[jm.Journal]:
    with jm.Journal(url) as opened:
        yield opened


def test_released_journal_is_read(journal: jm.Journal) -> None:
    assert [event.offset for event in journal.read(journal.bounds().first, limit=100).events] == list(range(EVENTS))
    tracker = jm.StatusTracker(journal)
    assert {task: tracker.get(task).status for task in STATUSES} == STATUSES
    results = jm.ResultStore(journal)
    assert results.get("done", keep=True) == 3
    with pytest.raises(jm.TaskFailedError, match="ValueError: no 7"):
        results.get("dead")


def test_ids_of_the_released_journal_are_known(journal: jm.Journal) -> None:
    for task in STATUSES:
        with pytest.raises(jm.MessageAlreadyExistsError, match=task):
            jm.Broker(journal).submit(jm.Message("add", uuid=task))


def test_tasks_of_the_released_journal_are_finished(journal: jm.Journal, url: str) -> None:
    results = jm.ResultStore(journal)
    jm.Broker(journal).requeue("dead")
    with working([add, fail], url):
        assert [
            results.get(task, 60_000, keep=True) for task in ("claimed", "waiting", "delayed", "later", "dead")
        ] == [
            7,
            11,
            15,
            2,
            7,
        ]
    tracker = jm.StatusTracker(journal)
    attempts = {task: (tracker.get(task).details or {})["attempts"] for task in ("claimed", "dead", "retried")}
    assert attempts == {"claimed": 2, "dead": 1, "retried": 1}, "the dead worker used one; a requeue forgets them"
    wait_until(lambda: tracker.get("retried").status is jm.TaskStatus.RETRYING, "its next attempt is due in an hour")
