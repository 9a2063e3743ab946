"""A wait for a task that this process has just submitted follows the log, and finds what a look-up finds."""

import random
from collections.abc import Iterator
from pathlib import Path

import journeyman as jm
import pytest
from journeyman.journal.runtime.blocking import run
from journeyman.tasks import recent as recent_module
from journeyman.tasks.index.index import IndexSnapshot, TaskIndex
from journeyman.tasks.lookup import Found, task_lookup
from journeyman.tasks.recent import Recent
from journeyman.tasks.state import names

WORKERS = ["v", "w"]
RESULT_MS = 60_000


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[jm.Journal]:
    with jm.Journal(f"sqlite:///{tmp_path}/shop.db?sync=normal") as opened:
        yield opened


@pytest.fixture
def charge(journal: jm.Journal) -> jm.Task[[], int]:
    return jm.task(jm.Broker(journal))(lambda: 1)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the tasks that were looked up by the index."""
    snapshot, seen = TaskIndex.snapshot, list[str]()

    async def noted(index: TaskIndex, *args: object, task_id: str = "") -> IndexSnapshot:
        seen.append(task_id)
        return await snapshot(index, *args, task_id=task_id)  # type: ignore[arg-type]

    monkeypatch.setattr(TaskIndex, "snapshot", noted)
    return seen


def join(journal: jm.Journal, worker: str = "w") -> int:
    context = {"worker": worker, "lease_ms": 60_000, "host": "here"}
    return journal.append(names.JOINED, context, worker).offset


def claim(journal: jm.Journal, task: str, worker: str = "w") -> int:
    return journal.append(names.CLAIMED, {"task": task, "worker": worker}, task).offset


def settle(journal: jm.Journal, message: jm.Message, result: object, worker: str = "w") -> int:
    token = claim(journal, message.uuid, worker)
    said = {"task": message.uuid, "worker": worker, "claim": token, "result": result}
    return journal.append(names.SUCCEEDED, said, message.uuid).offset


def test_later_wait_for_an_own_task_looks_nothing_up(
    journal: jm.Journal, charge: jm.Task[[], int], looks: list[str]
) -> None:
    join(journal)
    results, seen = jm.ResultStore(journal), list[int]()
    for number in range(3):
        message = charge.generate()
        settle(journal, message, number)
        assert results.get(message, timeout=RESULT_MS) == number
        seen.append(len(looks))
    assert seen[0] > 0
    assert seen[-1] == seen[0]


def test_wait_that_ends_in_vain_has_read_the_log(
    journal: jm.Journal, charge: jm.Task[[], int], looks: list[str]
) -> None:
    join(journal)
    results, first = jm.ResultStore(journal), charge.generate()
    settle(journal, first, 1)
    results.get(first, timeout=RESULT_MS)
    looks.clear()
    second = charge.generate()
    with pytest.raises(TimeoutError, match="waits to be run"):
        results.get(second, timeout=1)
    assert looks == [second.uuid]


def test_claim_of_an_ended_session_gives_no_result(journal: jm.Journal, charge: jm.Task[[], int]) -> None:
    join(journal)
    join(journal, "other")
    results, first = jm.ResultStore(journal), charge.generate()
    last = settle(journal, first, 1)
    assert results.get(first, timeout=RESULT_MS) == 1
    journal.append(names.EXPIRED, {"worker": "w", "last": last, "by": "other"}, "w")
    second = charge.generate()
    settle(journal, second, "of the ended session")
    with pytest.raises(TimeoutError):
        results.get(second, timeout=1)
    settle(journal, second, "right", "other")
    assert results.get(second, timeout=RESULT_MS) == "right"


def test_claim_of_a_session_that_ends_meanwhile_returns(journal: jm.Journal, charge: jm.Task[[], int]) -> None:
    join(journal)
    join(journal, "other")
    results, first = jm.ResultStore(journal), charge.generate()
    settle(journal, first, 1)
    assert results.get(first, timeout=RESULT_MS) == 1
    second = charge.generate()
    token = claim(journal, second.uuid)
    journal.append(names.EXPIRED, {"worker": "w", "last": token, "by": "other"}, "w")
    late = {"task": second.uuid, "worker": "w", "claim": token, "result": "late"}
    journal.append(names.SUCCEEDED, late, second.uuid)
    settle(journal, second, "right", "other")
    assert results.get(second, timeout=RESULT_MS) == "right"


def test_wait_finds_what_a_lookup_finds(
    journal: jm.Journal, charge: jm.Task[[], int], looks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent_module, "RECENT_EVENTS_MAX", 12)
    rng, lookup, followed = random.Random(7), task_lookup(journal.asynchronous), 0
    for _ in range(120):
        for _ in range(rng.randrange(3)):
            happen(journal, rng, "another")
        task = charge.generate().uuid
        for _ in range(rng.randrange(6)):
            happen(journal, rng, task)
        last = journal.append(names.NOTED, {"task": task, "status": "", "details": None}, task).offset

        def is_over(found: Found, last: int = last) -> bool:
            return last in found.trace.rows

        looks.clear()
        waited = run(lookup.wait(task, is_over, 60))
        followed += not looks
        found = run(lookup.find(task))
        assert waited.task is not None
        assert found.task is not None
        assert {at: waited.trace.verdicts[at] for at in found.trace.verdicts} == found.trace.verdicts
        assert (waited.task.state, waited.task.changed) == (found.task.state, found.task.changed)
    assert followed > 20


def happen(journal: jm.Journal, rng: random.Random, task: str) -> None:
    """Append a random event about the task or a worker; many are refused."""
    worker, end = rng.choice(WORKERS), journal.bounds().end[0]
    near = rng.randrange(max(0, end - 4), end) if end else 0
    usual = [names.CLAIMED, names.SUCCEEDED, names.INTERRUPTED, names.RETRIED, names.FAILED, names.REQUEUED]
    name = rng.choice([*usual, names.CLAIMED, rng.choice(names.WORKER_EVENTS)])
    context: dict[str, object] = {"task": task, "worker": worker, "claim": near}
    if name in names.WORKER_EVENTS:
        context = {"worker": worker, "by": rng.choice(WORKERS), "last": near}
    journal.append(name, context, worker if name in names.WORKER_EVENTS else task)


def test_follower_begins_where_it_is_asked_to(journal: jm.Journal) -> None:
    """A follower that another wait has given back further on is not used for an earlier place."""
    lookup = task_lookup(journal.asynchronous)
    events = [journal.append("shop.opened", {"number": number}) for number in range(4)]
    further = run(lookup.follower(jm.Cursor({0: 2})))
    run(lookup.give_back(further))
    follower = run(lookup.follower(jm.Cursor({0: 1})))
    page = run(follower.page(timeout=60))
    assert page is not None
    assert page.offsets[0] == events[1].offset
    run(follower.aclose())


def test_old_submissions_are_forgotten(monkeypatch: pytest.MonkeyPatch, journal: jm.Journal) -> None:
    monkeypatch.setattr(recent_module, "RECENT_SUBMISSIONS", 2)
    recent = Recent()
    recent.learn(0, {})
    events = [journal.append("shop.opened", key=f"t-{number}") for number in range(5)]
    for event in events:
        recent.note_submission(event)
    known = [number for number in range(5) if recent.start_for(f"t-{number}") is not None]
    assert known == [2, 3, 4]
