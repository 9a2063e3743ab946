"""The task index: exact at every moment, however it is filled, and made anew wherever it is not of the log."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import journeyman as jm
import orjson
import pytest
import uuid_utils
from journeyman.journal import limits
from journeyman.journal.event import Draft
from journeyman.journal.runtime.blocking import run
from journeyman.tasks.index import index as index_module
from journeyman.tasks.index.index import TaskIndex, task_index
from journeyman.tasks.index.keys import key_of
from journeyman.tasks.index.search import Searched, search
from journeyman.tasks.index.store import Store
from journeyman.tasks.index.trace import Trace, read_trace
from journeyman.tasks.limits import INDEX_SEARCH_EVENTS
from journeyman.tasks.state import names
from journeyman.tasks.state.remembering import RememberingView
from journeyman.tasks.state.state import TaskState
from journeyman.tasks.state.transitions import State
from journeyman.tasks.state.view import TaskView
from support.waiting import wait_until

TASKS, WORKERS = [f"task-{number}" for number in range(6)], [f"worker-{number}" for number in range(3)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"


@pytest.fixture
def journal(path: Path) -> Iterator[jm.Journal]:
    with jm.Journal(f"sqlite:///{path}?sync=normal") as opened:
        yield opened


def trace_of(journal: jm.Journal, task: str, index: TaskIndex | None = None) -> Trace:
    async def read() -> Trace:
        log = await journal.asynchronous.open()
        used = index or task_index(journal.asynchronous)
        return await read_trace(log, await used.snapshot(log.partition_of(task), task_id=task), task)

    return run(read())


def submit(journal: jm.Journal, task: str) -> int:
    return journal.append(names.SUBMITTED, {"task": task, "task_name": "add", "max_retries": 1}, task).offset


def finish(journal: jm.Journal, task: str, worker: str = "w") -> int:
    """Have `worker`, which has joined, run a task."""
    claim = journal.append(names.CLAIMED, {"task": task, "worker": worker}, task).offset
    context = {"task": task, "worker": worker, "claim": claim, "result": task}
    return journal.append(names.SUCCEEDED, context, task).offset


def join(journal: jm.Journal, worker: str = "w") -> int:
    return journal.append(names.JOINED, {"worker": worker, "lease_ms": 1_000}, worker).offset


def state_of(task: TaskState | None) -> tuple[object, ...]:
    if task is None:
        return ()
    holder = task.worker if task.state is State.CLAIMED else ""
    return task.submitted, task.state, task.attempts, task.changed, task.claim, holder, task.refused, task.collected


def random_event(rng: random.Random, end: int) -> tuple[str, dict[str, object], str]:
    """An event about a few tasks and workers, often one that is refused."""
    task, worker = rng.choice(TASKS), rng.choice(WORKERS)
    name = rng.choice([*names.TASK_EVENTS, *names.WORKER_EVENTS, names.CLAIMED, names.SUCCEEDED, names.EXPIRED])
    near = rng.randrange(max(0, end - 6), end) if end else 0
    if name in names.WORKER_EVENTS:
        return name, {"worker": worker, "by": rng.choice(WORKERS), "last": near}, worker
    return name, {"task": task, "worker": worker, "claim": near, "task_name": "add", "max_retries": 1}, task


@pytest.mark.parametrize("seed", range(12))
def test_trace_equals_the_fold_of_the_whole_log(
    journal: jm.Journal, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    monkeypatch.setattr(index_module, "INDEX_BATCH_EVENTS", 7)
    view, fresh = RememberingView(), jm.Journal(journal.url)
    with fresh:
        for end in range(400):
            event = journal.append(*random_event(rng, end))
            view.apply(event)
            if rng.random() < 0.2:
                reader = rng.choice([journal, fresh])
                for task in TASKS:
                    assert state_of(trace_of(reader, task).task) == state_of(view.find(task)), (end, task)


def searching_index(
    journal: jm.Journal, path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> tuple[TaskIndex, list[Searched | None]]:
    """An index that searches every event behind its file by that function and fills nothing; and what it has found."""
    found: list[Searched | None] = []
    searched = getattr(index_module, name)

    async def noted(*arguments: Any) -> Searched | None:
        found.append(await searched(*arguments))
        return found[-1]

    monkeypatch.setattr(index_module, "INDEX_SEARCH_EVENTS", 0)
    monkeypatch.setattr(index_module, name, noted)
    index = TaskIndex(journal.asynchronous, Store(f"{path}-index"))
    monkeypatch.setattr(index, "_background", SimpleNamespace(begin=lambda **_: None))
    return index, found


@pytest.mark.parametrize("seed", range(6))
def test_search_result_equals_the_fold_of_the_whole_log(
    journal: jm.Journal, path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    index, found = searching_index(journal, path, monkeypatch, "search")
    view = RememberingView()
    for end in range(400):
        event = journal.append(*random_event(rng, end))
        view.apply(event)
        if rng.random() < 0.01:
            run(TaskIndex(journal.asynchronous, Store(f"{path}-index")).catch_up())
        if rng.random() < 0.1:
            for task in TASKS:
                assert state_of(trace_of(journal, task, index).task) == state_of(view.find(task)), (end, task)
    assert len(found) > 100
    assert None not in found


@pytest.mark.parametrize("seed", range(6))
def test_searched_sessions_end_where_the_fold_ends_them(
    journal: jm.Journal, path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    index, found = searching_index(journal, path, monkeypatch, "search_sessions")
    view = TaskView()
    ended: dict[str, list[int]] = {worker: [] for worker in WORKERS}
    for end in range(400):
        event = journal.append(*random_event(rng, end))
        before = {session.worker for session in view.all_sessions()}
        view.apply(event)
        for worker in before - {session.worker for session in view.all_sessions()}:
            ended[worker].append(event.offset)
        if rng.random() < 0.01:
            run(TaskIndex(journal.asynchronous, Store(f"{path}-index")).catch_up())
        if rng.random() < 0.1:
            for worker in WORKERS:
                sessions = run(index.snapshot(0, worker=worker)).sessions_of(worker)
                assert [row.ended for row in sessions if row.ended >= 0] == ended[worker], (end, worker)
                assert any(row.ended < 0 for row in sessions) == (view.session(0, worker) is not None), (end, worker)
    assert all(ended.values())
    assert len(found) > 50
    assert None not in found


def test_search_begins_at_the_time_in_the_id(journal: jm.Journal) -> None:
    contexts = [{"task": f"t-{number}", "task_name": "add"} for number in range(3_000)]
    drafts = [Draft(names.SUBMITTED, orjson.dumps(each), each["task"]) for each in contexts]
    drafts.insert(0, Draft(names.JOINED, orjson.dumps({"worker": "w", "lease_ms": 1_000}), "w"))
    for draft in drafts:
        draft.timestamp = time.time() - 3_600
    journal.append_drafts(drafts)
    task, digits = str(uuid_utils.uuid7()), f"{int(time.time() + 86_400) * 1_000:012x}"
    early = f"{digits[:8]}-{digits[8:]}-7d31-9f60-3a2b8a4c9d11"
    submit(journal, task)
    submit(journal, early)
    finish(journal, task)
    log = run(journal.asynchronous.open())
    found = run(search(log, task, 0, 3_005))
    assert found is not None
    assert (found.batch.base, found.begins_later) == (3_001, True)
    state = trace_of(journal, task).task
    assert state is not None
    assert state.state is State.SUCCEEDED
    later = run(search(log, early, 0, 3_005))
    assert later is not None
    assert (later.begins_later, later.batch.holds_submission(early)) == (False, True)


def test_search_fills_the_index_in_a_thread(journal: jm.Journal, path: Path) -> None:
    tasks = [f"t-{number}" for number in range(INDEX_SEARCH_EVENTS + 1)]
    journal.append_all([(names.SUBMITTED, {"task": task, "task_name": "add"}, task) for task in tasks])
    assert not jm.StatusTracker(journal).exists("t-1000000")
    task = trace_of(journal, "t-7").task
    assert task is not None
    assert task.submitted == 7
    store = Store(f"{path}-index")
    wait_until(lambda: store.covered(0).next_offset == len(tasks), "a thread to fill the index")


def test_submitting_program_fills_the_index_in_a_thread(journal: jm.Journal, path: Path) -> None:
    count = INDEX_SEARCH_EVENTS + 1
    jm.Broker(journal).submit_all((jm.Message(task_name="add") for _ in range(count)), new=True)
    store = Store(f"{path}-index")  # the last task may have come after the thread had read the log
    wait_until(lambda: store.covered(0).next_offset >= INDEX_SEARCH_EVENTS, "a thread to fill the index")


def test_index_that_two_stores_make_at_once_is_one(tmp_path: Path) -> None:
    for number in range(60):
        stores = [Store(f"{tmp_path}/{number}.db-index") for _ in range(2)]
        at_once = Barrier(2)

        def generation(store: Store, at_once: Barrier = at_once) -> int:
            at_once.wait()
            return store.covered(0).generation

        with ThreadPoolExecutor(2) as threads:
            first, second = threads.map(generation, stores)
        assert first == second, number
        for store in stores:
            assert store.covered(0).generation == first, number
            store.close()


def test_index_covers_what_was_written_and_reads_the_rest(journal: jm.Journal, path: Path) -> None:
    submit(journal, "a")
    run(task_index(journal.asynchronous).catch_up())
    assert Store(f"{path}-index").covered(0).next_offset == 1
    submit(journal, "b")
    for task in ("a", "b"):
        found = trace_of(journal, task).task
        assert found is not None
        assert found.state is State.READY
    assert trace_of(journal, "c").task is None
    assert Store(f"{path}-index").covered(0).next_offset == 1


def test_index_distinguishes_ids_that_share_a_key(journal: jm.Journal) -> None:
    lower = "0192f6b1-5c7a-7d31-9f60-3a2b8a4c9d11"
    assert key_of(lower) == key_of(lower.upper())
    join(journal)
    submit(journal, lower)
    submit(journal, lower.upper())
    finish(journal, lower.upper())
    run(task_index(journal.asynchronous).catch_up())
    first, second = trace_of(journal, lower).task, trace_of(journal, lower.upper()).task
    assert first is not None
    assert second is not None
    assert (first.state, second.state) == (State.READY, State.SUCCEEDED)


def test_index_of_another_log_is_rebuilt(path: Path) -> None:
    with jm.Journal(f"sqlite:///{path}") as journal:
        for number in range(10):
            submit(journal, f"old-{number}")
        run(task_index(journal.asynchronous).catch_up())
    for name in ("shop.db", "shop.db-wal", "shop.db-shm"):
        (path.parent / name).unlink(missing_ok=True)
    with jm.Journal(f"sqlite:///{path}") as journal:
        for number in range(20):
            submit(journal, f"new-{number}")
        assert trace_of(journal, "old-3").task is None
        found = trace_of(journal, "new-3").task
        assert found is not None
        assert found.submitted == 3


def test_index_ahead_of_a_restored_log_is_rebuilt(journal: jm.Journal, path: Path) -> None:
    submit(journal, "a")
    with jm.Journal("memory://") as longer:
        for number in range(9):
            submit(longer, f"x-{number}")
        other = TaskIndex(longer.asynchronous, Store(f"{path}-index"))
        run(other.catch_up())
        run(other.aclose())
    assert trace_of(journal, "x-3").task is None
    assert trace_of(journal, "a").task is not None


@pytest.mark.parametrize("damage", [b"", b"not a database" * 500, b"SQLite format 3\0" + b"\7" * 9_000])
def test_damaged_index_is_rebuilt(journal: jm.Journal, path: Path, damage: bytes) -> None:
    for number in range(50):
        submit(journal, f"t-{number}")
    index = task_index(journal.asynchronous)
    run(index.catch_up())
    run(index.aclose())
    for ending in ("-wal", "-shm"):
        Path(f"{path}-index{ending}").unlink(missing_ok=True)
    Path(f"{path}-index").write_bytes(damage)
    found = trace_of(journal, "t-7").task
    assert found is not None
    assert found.submitted == 7
    run(index.catch_up())
    assert Store(f"{path}-index").covered(0).next_offset == 50


def test_index_deleted_while_open_is_rebuilt(journal: jm.Journal, path: Path) -> None:
    submit(journal, "a")
    run(task_index(journal.asynchronous).catch_up())
    for ending in ("", "-wal", "-shm"):
        Path(f"{path}-index{ending}").unlink(missing_ok=True)
    assert trace_of(journal, "a").task is not None
    run(task_index(journal.asynchronous).catch_up())
    assert Store(f"{path}-index").covered(0).next_offset == 1


def test_unwritable_index_is_kept_by_the_reader(
    journal: jm.Journal, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Path(f"{path}-index").mkdir()
    submit(journal, "a")
    assert trace_of(journal, "a").task is not None
    run(task_index(journal.asynchronous).catch_up())
    assert list(Path(f"{path}-index").iterdir()) == []
    warnings = [each.getMessage() for each in caplog.records if "cannot be used" in each.getMessage()]
    assert len(warnings) == 1
    assert "JOURNEYMAN_STATE" in warnings[0]


def test_database_of_another_program_is_left_alone(journal: jm.Journal, path: Path) -> None:
    import apsw

    other = apsw.Connection(f"{path}-index")
    other.execute("CREATE TABLE theirs (x)").fetchall()
    other.close()
    submit(journal, "a")
    assert trace_of(journal, "a").task is not None
    run(task_index(journal.asynchronous).catch_up())
    assert apsw.Connection(f"{path}-index").execute("SELECT name FROM sqlite_schema").fetchall() == [("theirs",)]


def test_index_follows_retention(journal: jm.Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    join(journal)
    for number in range(20):
        submit(journal, f"t-{number}")
        finish(journal, f"t-{number}")
    run(task_index(journal.asynchronous).catch_up())
    log = run(journal.asynchronous.open())
    kept = run(journal.asynchronous.bounds()).end[0] - 3
    run(log.trim({0: kept}))
    assert trace_of(journal, "t-0").task is None
    found = trace_of(journal, "t-19").task
    assert found is not None
    assert found.state is State.SUCCEEDED
    assert (state_of(trace_of(journal, "t-19", TaskIndex(journal.asynchronous, Store(""))).task)) == state_of(found)


FILL = """
import sys
import journeyman as jm
from journeyman.journal.runtime.blocking import run
from journeyman.tasks.index import index
index.INDEX_BATCH_EVENTS = 20
journal = jm.Journal(sys.argv[1])
print("ready", flush=True)
while True:
    run(index.task_index(journal.asynchronous).catch_up())
    journal.append("task.submitted", {"task": f"{sys.argv[2]}-{journal.bounds().end[0]}", "task_name": "add"}, "k")
"""


def test_index_survives_kills_while_several_processes_fill_it(journal: jm.Journal, path: Path) -> None:
    for number in range(300):
        submit(journal, f"t-{number}")
    for round_ in range(3):
        fillers = [
            subprocess.Popen([sys.executable, "-c", FILL, journal.url, f"p{round_}{n}"], stdout=subprocess.PIPE)
            for n in range(2)
        ]
        for filler in fillers:
            assert filler.stdout is not None
            assert filler.stdout.readline() == b"ready\n"
        before = journal.bounds().end[0]
        while journal.bounds().end[0] < before + 30:
            submit(journal, f"r{round_}-{journal.bounds().end[0]}")
        for filler in fillers:
            os.kill(filler.pid, signal.SIGKILL)
            filler.communicate()
    view = TaskView()
    for page in run(run(journal.asynchronous.open()).read({0: 0}, limits.BATCH_EVENTS_MAX)):
        view.apply_page(page)
    for task in view.live:
        assert state_of(trace_of(journal, task).task) == state_of(view.find(task))
