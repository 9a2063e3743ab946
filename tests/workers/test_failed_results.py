"""Results of failed tasks: the error is raised at once, for one message and for many; real workers."""

import pickle
import threading
from collections.abc import Iterator
from pathlib import Path

import journeyman as jm
import pytest
from asked_tasks import add, hold, refuse
from asked_worker import asked_worker
from journeyman.tasks.state import names


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[jm.Journal]:
    """A journal on which a worker runs."""
    url = f"sqlite:///{tmp_path_factory.mktemp('asked')}/asked.db"
    with jm.Journal(url) as journal, asked_worker(url):
        yield journal


def handed_in(journal: jm.Journal, *messages: jm.Message) -> None:
    jm.Broker(journal).submit_all(messages)


def sum_of(left: int, right: int) -> jm.Message:
    return add.generate([left, right], submit=False)


def refused(order: int) -> jm.Message:
    return refuse.generate([order], submit=False)


def test_failure_carries_the_exception_with_its_traceback(journal: jm.Journal) -> None:
    message = refused(7)
    handed_in(journal, message)
    with pytest.raises(jm.TaskFailedError) as raised:
        jm.ResultStore(journal).get(message, timeout=60_000)
    error = raised.value
    assert str(error) == f"the task {message.uuid} has no result: it has failed with ValueError: order 7 is unknown"
    assert (error.task, error.name, error.text) == (message.uuid, "ValueError", "order 7 is unknown")
    assert error.traceback.startswith("Traceback (most recent call last):")
    assert 'raise ValueError(f"order {order} is unknown")' in error.traceback
    assert not error.revoked
    assert isinstance(error, KeyError)
    twin = pickle.loads(pickle.dumps(error))
    assert (str(twin), twin.task, twin.name, twin.traceback) == (str(error), error.task, error.name, error.traceback)
    with pytest.raises(KeyError):  # and without a wait as well
        jm.ResultStore(journal).get(message)


def test_revocation_ends_the_wait_for_a_result(journal: jm.Journal) -> None:
    message = hold.generate(delay=3_600_000, submit=False)
    handed_in(journal, message)
    errors: list[jm.TaskFailedError] = []

    def ask() -> None:
        with pytest.raises(jm.TaskFailedError) as raised:
            jm.ResultStore(journal).get(message, timeout=3_600_000)
        errors.append(raised.value)

    asking = threading.Thread(target=ask)
    asking.start()
    jm.Broker(journal).revoke(message)
    asking.join(60)
    (error,) = errors
    assert (error.revoked, error.name, error.traceback) == (True, "", "")
    assert str(error) == f"the task {message.uuid} has no result: it was revoked"


def test_task_that_used_up_its_workers_names_the_last_one() -> None:
    with jm.Journal("memory://") as journal:
        journal.append(names.SUBMITTED, {"task": "t", "task_name": "add", "max_retries": 0}, "t")
        journal.append(names.JOINED, {"worker": "w", "lease_ms": 60_000}, "w")
        claim = journal.append(names.CLAIMED, {"task": "t", "worker": "w"}, "t").offset
        journal.append(names.EXPIRED, {"worker": "w", "last": claim, "by": "v"}, "w")
        with pytest.raises(jm.TaskFailedError, match="has failed: the worker w fell silent while it ran its last"):
            jm.ResultStore(journal).get("t")


def test_wait_for_a_status_that_cannot_come_ends_at_once(journal: jm.Journal) -> None:
    message = refused(8)
    handed_in(journal, message)
    with pytest.raises(TimeoutError, match="is FAILED and will not change, not SUCCEEDED"):
        jm.StatusTracker(journal).wait_for(message, jm.TaskStatus.SUCCEEDED, timeout=None)


def test_pool_yields_results_as_they_come_and_in_order(journal: jm.Journal) -> None:
    held, messages = hold.generate(delay=3_600_000, submit=False), [sum_of(each, each) for each in range(5)]
    handed_in(journal, held, *messages)
    pool = jm.ResultPool(jm.ResultStore(journal))
    coming = pool.istream(held, *messages, keep=True)
    assert {message.uuid: result for message, result in (next(coming) for _ in messages)} == {  # type: ignore[union-attr]
        message.uuid: 2 * each for each, message in enumerate(messages)
    }
    coming.close()  # type: ignore[attr-defined]
    ordered = list(pool.stream(*reversed(messages)))
    assert ordered == [(message, 2 * each) for each, message in reversed(list(enumerate(messages)))]
    with pytest.raises(KeyError, match="was collected already"):
        next(pool.stream(messages[0]))


def test_pool_raises_for_failed_members_or_yields_them(journal: jm.Journal) -> None:
    failing, revoked, fine = refused(9), hold.generate(delay=3_600_000, submit=False), sum_of(1, 2)
    handed_in(journal, failing, revoked, fine)
    jm.Broker(journal).revoke(revoked)
    pool = jm.ResultPool(jm.ResultStore(journal))
    with pytest.raises(jm.TaskFailedError, match="order 9 is unknown"):
        list(pool.stream(failing, fine))
    found = {message.uuid: result for message, result in pool.istream(failing, revoked, fine, failures="yield")}  # type: ignore[union-attr]
    assert found[fine.uuid] == 3
    assert found[failing.uuid].text == "order 9 is unknown"
    assert found[revoked.uuid].revoked


def test_pool_wait_ends_at_its_timeout(journal: jm.Journal) -> None:
    message, fine = hold.generate(delay=3_600_000, submit=False), sum_of(1, 2)
    handed_in(journal, message, fine)
    pool = jm.ResultPool(jm.ResultStore(journal))
    assert jm.ResultStore(journal).get(fine, timeout=60_000, keep=True) == 3
    with pytest.raises(TimeoutError, match="1 of 2 results have not come in 1 ms"):
        list(pool.istream(message, fine, timeout=1))
    with pytest.raises(KeyError, match="no such task"):
        next(pool.istream("order-8"))
    with pytest.raises(jm.ValidationError, match="a message was passed twice"):
        pool.stream(message, message)
    with pytest.raises(jm.ValidationError, match="failures is 'raise' or 'yield', got 'ignore'"):
        pool.stream(message, failures="ignore")  # type: ignore[arg-type]


def test_listener_gets_each_status_from_the_submission_on(journal: jm.Journal) -> None:
    message = sum_of(3, 4)
    updates: list[jm.StatusUpdate] = []
    listening = threading.Thread(
        target=lambda: updates.extend(jm.StatusTracker(journal).listen_to_updates(message, timeout=60))
    )
    listening.start()  # before the journal knows the message
    handed_in(journal, message)
    listening.join(60)
    expected = [jm.TaskStatus.SUBMITTED, jm.TaskStatus.RUNNING, jm.TaskStatus.SUCCEEDED]
    assert [update.status for update in updates] == expected
    assert [update.status for update in jm.StatusTracker(journal).listen_to_updates(message)] == expected


def test_listener_sees_changes_of_one_page_and_session_ends() -> None:
    with jm.Journal("memory://") as journal:
        listening = jm.StatusTracker(journal).listen_to_updates("t", auto_exit=False, timeout=1e-3)
        journal.append(names.SUBMITTED, {"task": "t", "task_name": "add"}, "t")
        assert next(listening).status is jm.TaskStatus.SUBMITTED
        journal.append(names.JOINED, {"worker": "w", "lease_ms": 60_000}, "w")
        claim = journal.append(names.CLAIMED, {"task": "t", "worker": "w"}, "t").offset
        journal.append(names.RETRIED, {"task": "t", "worker": "w", "claim": claim}, "t")
        claim = journal.append(names.CLAIMED, {"task": "t", "worker": "w"}, "t").offset
        journal.append(names.EXPIRED, {"worker": "w", "last": claim, "by": "v"}, "w")
        told = [next(listening) for _ in range(4)]
        assert [update.status.name for update in told] == ["RUNNING", "RETRYING", "RUNNING", "RETRYING"]
        assert [update.details and update.details["attempts"] for update in told] == [1, 1, 2, 2]
        with pytest.raises(TimeoutError, match="has not ended within"):
            next(listening)


def test_abandoned_iteration_releases_the_journal(tmp_path: Path) -> None:
    with jm.Journal(f"sqlite:///{tmp_path}/left.db") as journal:
        journal.append(names.SUBMITTED, {"task": "t", "task_name": "add"}, "t")
        listening = jm.StatusTracker(journal).listen_to_updates("t")
        assert next(listening).status is jm.TaskStatus.SUBMITTED
        coming = jm.ResultPool(jm.ResultStore(journal)).istream("t")
    listening.close()  # type: ignore[attr-defined]
    coming.close()  # type: ignore[attr-defined]
