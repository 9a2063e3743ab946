"""The task index stays right: after retention, export and import, forks, and a kill at any moment."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import apsw
import journeyman as jm
import pytest
from journeyman.consumers.files.exporting import export
from journeyman.consumers.files.importing import Importer
from journeyman.journal.runtime.blocking import run
from journeyman.tasks.index import index as index_module
from journeyman.tasks.index import rows as rows_module
from journeyman.tasks.index.index import TaskIndex, task_index
from journeyman.tasks.index.store import Store
from journeyman.tasks.lookup import task_lookup
from journeyman.tasks.state import names
from journeyman.tasks.state.remembering import RememberingView

TASKS, WORKERS = [f"task-{number}" for number in range(8)], ["v", "w"]
TABLES = ("tasks", "more", "sessions", "covered")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[jm.Journal]:
    with jm.Journal(f"sqlite:///{tmp_path}/shop.db?sync=normal") as opened:
        yield opened


def fill(journal: jm.Journal, count: int, seed: int = 0) -> None:
    """Append so many events about a few tasks and workers, of which many are refused."""
    rng = random.Random(seed)
    for _ in range(count):
        end, task, worker = journal.bounds().end[0], rng.choice(TASKS), rng.choice(WORKERS)
        near = rng.randrange(max(0, end - 4), end) if end else 0
        name = rng.choice([*names.TASK_EVENTS, *names.WORKER_EVENTS, names.SUBMITTED, names.CLAIMED])
        context: dict[str, object] = {"task": task, "worker": worker, "claim": near, "task_name": "add"}
        if name in names.WORKER_EVENTS:
            context = {"worker": worker, "by": rng.choice(WORKERS), "last": near}
        journal.append(name, context, worker if name in names.WORKER_EVENTS else task)


def rows_of(path: str) -> list[list[tuple[object, ...]]]:
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)  # of the same library: others share no locks
    found: list[list[tuple[object, ...]]] = [list(connection.execute(f"SELECT * FROM {table}")) for table in TABLES]
    connection.close()
    return found


def made(journal: jm.Journal, path: Path) -> list[list[tuple[object, ...]]]:
    """The rows of an index of the journal that is made at `path`."""
    store = Store(str(path))
    run(TaskIndex(journal.asynchronous, store).catch_up())
    store.close()
    return rows_of(str(path))


def check_against_fold(journal: jm.Journal) -> None:
    view = RememberingView()
    for event in journal.read(journal.bounds().first, limit=10_000).events:
        view.apply(event)
    for task in TASKS:
        found, expected = run(task_lookup(journal.asynchronous).find(task)).task, view.find(task)
        assert (found is None) == (expected is None), task
        if found is not None and expected is not None:
            assert (found.submitted, found.state, found.changed) == (
                expected.submitted,
                expected.state,
                expected.changed,
            )


def test_rows_of_removed_tasks_are_removed(
    journal: jm.Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "INDEX_PRUNE_TASKS", 3)
    joined = journal.append(names.JOINED, {"worker": "gone", "lease_ms": 1}, "gone")
    journal.append(names.LEFT, {"worker": "gone"}, "gone")
    journal.append(names.JOINED, {"worker": "w", "lease_ms": 1}, "w")
    for number in range(20):
        task = f"t-{number}"
        journal.append(names.SUBMITTED, {"task": task, "task_name": "add"}, task)
        claim = journal.append(names.CLAIMED, {"task": task, "worker": "w"}, task).offset
        journal.append(names.SUCCEEDED, {"task": task, "worker": "w", "claim": claim, "result": 1}, task)
        journal.append(names.COLLECTED, {"task": task}, task)
    journal.append(names.REVOKED, {"task": "nowhere"}, "nowhere")
    index, store = task_index(journal.asynchronous), Store(f"{tmp_path}/shop.db-index")
    run(index.catch_up())
    assert len(rows_of(store.path)[0]) == 20
    assert joined.offset == 0
    assert len(store.sessions_of("gone", 0)[0]) == 1
    kept = journal.bounds().end[0] - 1 - 4 * 5 - 2  # five tasks, and the last two events of the one before
    run(journal.asynchronous.log.trim({0: kept}))
    run(index.catch_up())
    tasks, more, sessions, _ = rows_of(store.path)
    assert len(tasks) == 6
    assert len(more) == 6 + 1
    assert len(sessions) == 1
    assert store.pruned(0) == kept
    assert not store.sessions_of("gone", 0)[0]
    for number, status in ((0, None), (13, None), (15, jm.TaskStatus.SUCCEEDED), (19, jm.TaskStatus.SUCCEEDED)):
        if status is None:
            assert not jm.StatusTracker(journal).exists(f"t-{number}")
        else:
            assert jm.StatusTracker(journal).get(f"t-{number}").status is status
    run(journal.asynchronous.log.trim({0: journal.bounds().end[0]}))
    journal.append(names.SUBMITTED, {"task": "t-0", "task_name": "add"}, "t-0")
    run(index.catch_up())
    assert [len(table) for table in rows_of(store.path)] == [1, 0, 1, 1]  # the session of w lives
    assert jm.StatusTracker(journal).get("t-0").status is jm.TaskStatus.SUBMITTED


def test_index_of_an_imported_journal_is_right(journal: jm.Journal, tmp_path: Path) -> None:
    fill(journal, 300)
    run(task_index(journal.asynchronous).catch_up())
    lines: list[bytes] = []
    run(export(journal.asynchronous, lines.append))
    with jm.Journal(f"sqlite:///{tmp_path}/copy.db") as copy:
        fill(copy, 0)
        assert not jm.StatusTracker(copy).exists("task-0")  # an index of the empty journal
        importer = Importer(copy.asynchronous)
        run(importer.prepare())
        run(importer.take(b"".join(lines).splitlines()))
        check_against_fold(copy)
        run(task_index(copy.asynchronous).catch_up())
        check_against_fold(copy)
        ours, theirs = rows_of(f"{tmp_path}/shop.db-index"), rows_of(f"{tmp_path}/copy.db-index")
        assert ours == theirs


def test_forked_children_and_parent_fill_one_index(
    journal: jm.Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "INDEX_BATCH_EVENTS", 10)
    fill(journal, 100)
    run(task_index(journal.asynchronous).catch_up())
    children = []
    for seed in (1, 2):
        child = os.fork()
        if not child:
            try:
                fill(journal, 60, seed)
                run(task_index(journal.asynchronous).catch_up())
            except BaseException:
                os._exit(1)
            os._exit(0)
        children.append(child)
    fill(journal, 60, 3)
    run(task_index(journal.asynchronous).catch_up())
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    run(task_index(journal.asynchronous).catch_up())
    assert rows_of(f"{tmp_path}/shop.db-index") == made(journal, tmp_path / "again-index")
    check_against_fold(journal)


def test_fill_that_is_killed_at_any_step_leaves_a_right_index(journal: jm.Journal, tmp_path: Path) -> None:
    """A process kills itself before the first, second … call into C while it fills the index."""
    fill(journal, 200)
    expected = made(journal, tmp_path / "whole-index")
    path = tmp_path / "killed-index"
    command = [sys.executable, "-m", "support.killed_fill", f"sqlite:///{tmp_path}/shop.db", str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        killed = 0
        for step in range(1, 100_000, 23):
            print(step, file=parent.stdin, flush=True)
            status = int(parent.stdout.readline())
            if status == 0:
                break
            assert os.WTERMSIG(status) == signal.SIGKILL
            killed += 1
            store = Store(str(path))
            assert store.covered(0).next_offset <= 200
            store.close()
            if killed % 5 == 0:
                assert made(journal, path) == expected
                for ending in ("", "-wal", "-shm"):
                    Path(f"{path}{ending}").unlink(missing_ok=True)
    assert killed > 20
    assert made(journal, path) == expected
