"""Statuses, results, histories and dispositions of any task that the log holds, without the state of the queue."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import journeyman as jm
import pytest
from journeyman.journal.runtime.blocking import run
from journeyman.tasks.index.index import task_index
from journeyman.tasks.inspection.history import task_history
from journeyman.tasks.limits import ENDED_TASK_EVENTS
from journeyman.tasks.lookup import Found, TaskLookup, task_lookup
from journeyman.tasks.state import names
from journeyman.tasks.state.transitions import State
from journeyman.tasks.state.view import TaskView

OTHERS = 50_100


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"


@pytest.fixture
def journal(path: Path) -> Iterator[jm.Journal]:
    with jm.Journal(f"sqlite:///{path}?sync=normal") as opened:
        yield opened


def submit(journal: jm.Journal, task: str, **more: object) -> None:
    journal.append(names.SUBMITTED, {"task": task, "task_name": "charge"} | more, task)


def join(journal: jm.Journal, worker: str = "w") -> None:
    journal.append(names.JOINED, {"worker": worker, "lease_ms": 60_000, "host": "here"}, worker)


def claim(journal: jm.Journal, task: str, worker: str = "w") -> int:
    return journal.append(names.CLAIMED, {"task": task, "worker": worker}, task).offset


def end(journal: jm.Journal, task: str, token: int, name: str = names.SUCCEEDED, result: object = None) -> None:
    journal.append(name, {"task": task, "worker": "w", "claim": token, "result": result}, task)


def run_others(journal: jm.Journal, count: int) -> None:
    """Have the worker run so many other tasks."""
    step = 2_505
    for begin in range(0, count, step):
        tasks = [f"other-{number}" for number in range(begin, min(begin + step, count))]
        journal.append_all([(names.SUBMITTED, {"task": each, "task_name": "charge"}, each) for each in tasks])
        claims = journal.append_all([(names.CLAIMED, {"task": each, "worker": "w"}, each) for each in tasks])
        journal.append_all(
            [
                (names.SUCCEEDED, {"task": each, "worker": "w", "claim": event.offset}, each)
                for each, event in zip(tasks, claims, strict=True)
            ]
        )


def check_answers(journal: jm.Journal) -> None:
    """Questions about a task that ended before all others."""
    status = jm.StatusTracker(journal).get("order-7")
    assert status.status is jm.TaskStatus.SUCCEEDED
    assert jm.ResultStore(journal).get("order-7", keep=True) == 42
    steps = journal.run(task_history(journal.asynchronous, "order-7")).steps
    assert [step.event.name for step in steps] == [names.SUBMITTED, names.CLAIMED, names.SUCCEEDED]
    assert not jm.StatusTracker(journal).exists("order-8")


def fill(journal: jm.Journal) -> None:
    join(journal)
    submit(journal, "order-7")
    end(journal, "order-7", claim(journal, "order-7"), result=42)
    run_others(journal, OTHERS)


ASK = """
import sys
import journeyman as jm
with jm.Journal(sys.argv[1]) as journal:
    print(jm.StatusTracker(journal).get("order-7").status.name, jm.ResultStore(journal).get("order-7", keep=True))
"""


def test_task_that_ended_before_50_000_others_is_found(journal: jm.Journal, path: Path) -> None:
    fill(journal)
    assert OTHERS * 3 > ENDED_TASK_EVENTS
    check_answers(journal)
    with jm.Journal(journal.url) as later:
        check_answers(later)
    run(task_index(journal.asynchronous).aclose())
    for ending in ("", "-wal", "-shm"):
        Path(f"{path}-index{ending}").unlink(missing_ok=True)
    check_answers(journal)
    told = subprocess.run([sys.executable, "-c", ASK, journal.url], capture_output=True, text=True, check=True)
    assert told.stdout == "SUCCEEDED 42\n"


@pytest.mark.kafka
def test_task_that_ended_before_50_000_others_is_found_on_kafka(kafka_bootstrap: str, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JOURNEYMAN_STATE", str(tmp_path))
        with jm.Journal(f"kafka://{kafka_bootstrap}/lookup-{os.getpid()}?partitions=1&replication=1") as journal:
            fill(journal)
            check_answers(journal)
            files = list(tmp_path.rglob("*-index"))
            assert len(files) == 1
            with jm.Journal(journal.url) as later:
                check_answers(later)
            files[0].unlink()
            check_answers(journal)


def test_lookup_of_a_waiting_task_holds_no_queue_state(journal: jm.Journal) -> None:
    submit(journal, "order-7")
    assert jm.StatusTracker(journal).get("order-7").status is jm.TaskStatus.SUBMITTED
    assert not any("replica" in name for name in journal.asynchronous.companions)


def test_wait_follows_the_log_to_the_result(journal: jm.Journal) -> None:
    join(journal)
    submit(journal, "t")
    results: list[object] = []
    waiting = threading.Thread(target=lambda: results.append(jm.ResultStore(journal).get("t", timeout=60_000)))
    waiting.start()
    with jm.Journal(journal.url) as other:
        join(other, "late")
        submit(other, "unrelated")
        token = claim(other, "t", "late")
        other.append(names.EXPIRED, {"worker": "late", "last": token, "by": "w"}, "late")
        end(other, "t", claim(other, "t"), result="done")
    waiting.join(60)
    assert results == ["done"]
    with pytest.raises(KeyError, match="was collected already"):
        jm.ResultStore(journal).get("t")


def test_wait_for_a_status_sees_each_of_a_workers_steps(journal: jm.Journal) -> None:
    tracker = jm.StatusTracker(journal)
    join(journal)
    submit(journal, "t")
    assert tracker.wait_for("t", jm.TaskStatus.SUBMITTED) is jm.TaskStatus.SUBMITTED
    token = claim(journal, "t")
    assert tracker.wait_for("t", jm.TaskStatus.RUNNING) is jm.TaskStatus.RUNNING
    end(journal, "t", token)
    assert tracker.wait_for("t", [jm.TaskStatus.SUCCEEDED]) is jm.TaskStatus.SUCCEEDED
    assert tracker.wait_for("t", jm.TaskStatus.RUNNING, 60, raise_on_timeout=False) is jm.TaskStatus.SUCCEEDED


def test_revoke_returns_its_outcome(journal: jm.Journal) -> None:
    broker = jm.Broker(journal)
    join(journal)
    for task in ("waits", "ended"):
        submit(journal, task)
    end(journal, "ended", claim(journal, "ended"))
    effect = broker.revoke("waits")
    assert effect
    assert effect.disposition is jm.Disposition.REVOKED
    assert effect.position == effect.event.position
    assert broker.revoke("waits").disposition is jm.Disposition.ALREADY_ENDED
    assert broker.revoke("ended").disposition is jm.Disposition.ALREADY_ENDED
    assert broker.revoke("order-8").disposition is jm.Disposition.UNKNOWN
    assert not broker.revoke("order-8")


def test_requeue_returns_its_outcome(journal: jm.Journal) -> None:
    broker = jm.Broker(journal)
    join(journal)
    for task in ("waits", "dead"):
        submit(journal, task)
    end(journal, "dead", claim(journal, "dead"), names.FAILED)
    assert broker.requeue("dead").disposition is jm.Disposition.REQUEUED
    assert broker.requeue("dead").disposition is jm.Disposition.NOT_A_DEAD_LETTER
    assert broker.requeue("waits").disposition is jm.Disposition.NOT_A_DEAD_LETTER
    assert broker.requeue("order-8").disposition is jm.Disposition.UNKNOWN


def test_requeue_spares_a_task_that_has_succeeded_meanwhile(
    journal: jm.Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    join(journal)
    submit(journal, "t")
    end(journal, "t", claim(journal, "t"), names.FAILED)
    find, raced = TaskLookup.find, list[bool]()

    async def find_then_lose_the_race(lookup: TaskLookup, task_id: str) -> Found:
        found = await find(lookup, task_id)
        if not raced:
            raced.append(True)
            with jm.Journal(journal.url) as other:
                other.append(names.REQUEUED, {"task": "t"}, "t")
                end(other, "t", claim(other, "t"))
        return found

    monkeypatch.setattr(TaskLookup, "find", find_then_lose_the_race)
    effect = jm.Broker(journal).requeue("t")
    assert effect.disposition is jm.Disposition.NOT_A_DEAD_LETTER
    assert "submission" not in effect.event.context


def test_requeue_of_a_forgotten_dead_letter_is_taken_up(journal: jm.Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journeyman.tasks.state.dead_letters.DEAD_LETTERS_KEPT", 1)
    join(journal)
    for task in ("first", "second"):
        submit(journal, task, max_retries=0)
        end(journal, task, claim(journal, task), names.FAILED)
    assert jm.Broker(journal).requeue("first").disposition is jm.Disposition.REQUEUED
    view = TaskView()
    for event in journal.read({0: 0}, 100).events:
        view.apply(event)
    assert view.live["first"].state is State.READY


def test_status_of_a_task_whose_submission_retention_has_removed(journal: jm.Journal) -> None:
    from journeyman.tasks.retention import compact, plan

    join(journal)
    submit(journal, "t")
    token = claim(journal, "t")
    end(journal, "t", token)
    planned = run(plan(journal.asynchronous, journal.read({0: token}, 1).events[0].timestamp - 5e-7))
    assert dict(planned.before) == {0: token}
    run(compact(journal.asynchronous, planned))
    assert jm.StatusTracker(journal).get("t").status is jm.TaskStatus.SUCCEEDED
    assert jm.ResultStore(journal).exists("t")


def test_claim_before_the_beginning_of_the_log_is_handed_back(journal: jm.Journal) -> None:
    from journeyman.tasks.retention import compact, plan

    join(journal)
    submit(journal, "t")
    claim(journal, "t")
    left = journal.append(names.LEFT, {"worker": "w"}, "w")
    join(journal)
    end(journal, "t", claim(journal, "t"))
    planned = run(plan(journal.asynchronous, left.timestamp - 5e-7))
    assert dict(planned.before) == {0: left.offset}
    run(compact(journal.asynchronous, planned))
    update = jm.StatusTracker(journal).get("t")
    assert (update.status, update.details and update.details["attempts"]) == (jm.TaskStatus.SUCCEEDED, 1)


def test_lapse_is_known_when_retention_has_removed_the_submission(journal: jm.Journal) -> None:
    from journeyman.tasks.retention import compact, plan

    submit(journal, "t", expires=5.0)
    submit(journal, "other")
    lapsed = journal.append(names.LAPSED, {"task": "t", "reason": "expired"}, "t")
    jm.Broker(journal).revoke("other")
    planned = run(plan(journal.asynchronous, lapsed.timestamp - 5e-7))
    assert dict(planned.before) == {0: lapsed.offset}
    run(compact(journal.asynchronous, planned))
    update = jm.StatusTracker(journal).get("t")
    assert (update.status, update.details and update.details["reason"]) == (jm.TaskStatus.FAILED, "expired")


FORK = """
import os, sys
import journeyman as jm
journal = jm.Journal(sys.argv[1])
assert jm.StatusTracker(journal).exists("t")
child = os.fork()
if child == 0:
    assert jm.StatusTracker(journal).exists("t")
    assert jm.Broker(journal).revoke("t").disposition is jm.Disposition.REVOKED
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert jm.StatusTracker(journal).get("t").details["revoked"]
"""


def test_forked_child_looks_tasks_up(journal: jm.Journal) -> None:
    submit(journal, "t")
    subprocess.run([sys.executable, "-c", FORK, journal.url], check=True, timeout=60)


SUBMIT = """
import sys
import journeyman as jm
journal = jm.Journal(sys.argv[1])
print(jm.StatusTracker(journal).exists("t"), flush=True)
while True:
    journal.append("task.submitted", {"task": "again", "task_name": "charge"}, "again")
    jm.StatusTracker(journal).get("again")
"""


def test_killed_reader_leaves_a_working_index(journal: jm.Journal) -> None:
    submit(journal, "t")
    for _ in range(3):
        reader = subprocess.Popen([sys.executable, "-c", SUBMIT, journal.url], stdout=subprocess.PIPE)
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"True\n"
        os.kill(reader.pid, signal.SIGKILL)
        reader.communicate()
        assert run(task_lookup(journal.asynchronous).find("t")).task is not None
