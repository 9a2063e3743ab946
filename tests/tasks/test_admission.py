"""Submissions under chosen ids: each is cheap and exact, whatever other writers do to the log and the index."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import journeyman as jm
import pytest
from journeyman.journal.runtime.blocking import run
from journeyman.journal.sqlite.log import SqliteLog
from journeyman.journal.sqlite.reads import Reads
from journeyman.tasks.index import index as index_module
from journeyman.tasks.index.batch import Batch
from journeyman.tasks.index.index import TaskIndex, task_index
from journeyman.tasks.index.rows import Covered
from journeyman.tasks.index.store import Store
from journeyman.tasks.state import names

BATCH = 8


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/shop.db?sync=normal"


@pytest.fixture
def journal(url: str) -> Iterator[jm.Journal]:
    with jm.Journal(url) as opened:
        yield opened


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "INDEX_BATCH_EVENTS", BATCH)


def charge(number: object) -> jm.Message:
    return jm.Message(task_name="charge", uuid=f"order-{number}")


def refused(broker: jm.Broker, number: object) -> bool:
    try:
        broker.submit(charge(number))
    except jm.MessageAlreadyExistsError:
        return True
    return False


def submissions(journal: jm.Journal) -> list[str | None]:
    events = journal.read(journal.bounds().first, limit=10_000).events
    return [event.key for event in events if event.name == names.SUBMITTED]


def index_path(journal: jm.Journal) -> Path:
    log = journal.asynchronous.log
    assert isinstance(log, SqliteLog)
    return Path(log.index_path())


def rows_of(path: Path) -> list[list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return [connection.execute(f"SELECT * FROM {table}").fetchall() for table in ("tasks", "more", "covered")]


def test_lone_submitter_does_not_read_the_log(journal: jm.Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = jm.Broker(journal)
    broker.submit(charge(0))
    broker.submit(charge(1))

    def read(*_: object, **__: object) -> None:
        raise AssertionError("the log was read")

    for name in ("bounds", "read", "page", "append"):
        monkeypatch.setattr(SqliteLog, name, read)
    for name in ("bounds", "page", "reading"):
        monkeypatch.setattr(Reads, name, read)
    for number in range(2, 50):
        broker.submit(charge(number))
    monkeypatch.undo()
    assert submissions(journal) == [f"order-{number}" for number in range(50)]
    assert all(refused(broker, number) for number in range(50))


@pytest.mark.usefixtures("small_batches")
def test_index_of_own_submissions_equals_one_made_of_the_log(journal: jm.Journal, tmp_path: Path) -> None:
    broker = jm.Broker(journal)
    for number in range(10 * BATCH):
        broker.submit(charge(number))
        if number % 7 == 0:
            journal.append("order.paid", {"order": number}, key=f"order-{number}")
    covered = task_index(journal.asynchronous).covered_up_to(0)
    assert covered > 8 * BATCH, "the submissions were written in batches"
    run(task_index(journal.asynchronous).catch_up())
    run(TaskIndex(journal.asynchronous, Store(str(tmp_path / "rebuilt-index"))).catch_up())
    assert rows_of(index_path(journal)) == rows_of(tmp_path / "rebuilt-index")


@pytest.mark.usefixtures("small_batches")
def test_index_far_behind_is_filled_in_long_batches(
    journal: jm.Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker, written = jm.Broker(journal), []
    broker.submit_all([charge(number) for number in range(13 * BATCH)], new=True)
    run(TaskIndex(journal.asynchronous, Store(str(tmp_path / "short-index"))).catch_up())
    monkeypatch.setattr(index_module, "INDEX_LONG_BATCH_EVENTS", 4 * BATCH)
    monkeypatch.setattr(index_module, "PAGE_EVENTS", BATCH // 2)
    write = Store.write

    def noted(self: Store, batch: Batch, after: Covered) -> bool:
        written.append(batch.events)
        return write(self, batch, after)

    monkeypatch.setattr(Store, "write", noted)
    run(TaskIndex(journal.asynchronous, Store(str(tmp_path / "long-index"))).catch_up())
    assert written[:2] == [4 * BATCH, 4 * BATCH]
    assert max(written[2:]) < 2 * BATCH, "the last batches are short again"
    assert sum(written) == 13 * BATCH
    assert rows_of(tmp_path / "long-index") == rows_of(tmp_path / "short-index")


@pytest.mark.usefixtures("small_batches")
def test_submissions_of_others_are_seen(url: str, journal: jm.Journal) -> None:
    with jm.Journal(url) as other:
        ours, theirs = jm.Broker(journal), jm.Broker(other)
        for number in range(0, 100, 4):
            assert not refused(ours, number)
            assert refused(theirs, number)
            assert not refused(theirs, number + 1)
            other.append("order.paid", key="order")
            assert refused(ours, number + 1)
            assert not refused(ours, number + 2)
            assert not refused(ours, number + 3)
    assert submissions(journal) == [f"order-{number}" for number in range(100)]


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("how", ["removed", "removed alone", "cleared"])
def test_index_lost_between_submissions_refuses_all_the_same(journal: jm.Journal, how: str) -> None:
    broker, path = jm.Broker(journal), index_path(journal)
    for number in range(3 * BATCH):
        broker.submit(charge(number))
    assert task_index(journal.asynchronous).covered_up_to(0) > 0
    if how == "cleared":
        other = Store(str(path))
        other.clear(other.covered(0).generation)
        other.close()
    else:
        for name in [path, *([] if how == "removed alone" else [Path(f"{path}-wal"), Path(f"{path}-shm")])]:
            name.unlink()
    assert refused(broker, 0)
    assert not refused(broker, "new")
    assert all(refused(broker, number) for number in [*range(3 * BATCH), "new"])


@pytest.mark.usefixtures("small_batches")
def test_threads_and_journals_submit_each_id_once(url: str, journal: jm.Journal) -> None:
    accepted: list[int] = []

    def work(broker: jm.Broker) -> None:
        accepted.extend(number for number in range(60) if not refused(broker, number))

    with jm.Journal(url) as other:
        brokers = [jm.Broker(journal), jm.Broker(journal), jm.Broker(other), jm.Broker(other)]
        threads = [threading.Thread(target=work, args=(broker,)) for broker in brokers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(accepted) == list(range(60))
    assert sorted(map(str, submissions(journal))) == sorted(f"order-{number}" for number in range(60))


def test_forked_child_continues_from_the_log(journal: jm.Journal) -> None:
    broker = jm.Broker(journal)
    assert not refused(broker, 0)
    assert not refused(broker, 1)
    child = os.fork()
    if not child:
        os._exit(0 if refused(broker, 1) and not refused(broker, 2) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert refused(broker, 2)
    assert not refused(broker, 3)


def test_id_is_free_again_once_retention_removed_its_task(journal: jm.Journal) -> None:
    broker = jm.Broker(journal)
    for number in range(4):
        broker.submit(charge(number))
    run(journal.asynchronous.log.trim({0: 2}))
    assert [refused(broker, number) for number in range(4)] == [False, False, True, True]


def test_submission_after_a_foreign_append_is_decided_by_the_log(
    url: str, journal: jm.Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = jm.Broker(journal)
    assert not refused(broker, 0)
    looked = TaskIndex.end_without
    with jm.Journal(url) as other:

        def overtaken(self: TaskIndex, partition: int, task_id: str) -> int | None:
            end = looked(self, partition, task_id)
            if self is task_index(journal.asynchronous) and task_id not in submissions(other):
                other.append(names.SUBMITTED, {"task": task_id, "task_name": "charge"}, key=task_id)
            return end

        monkeypatch.setattr(TaskIndex, "end_without", overtaken)
        assert refused(broker, 1)
    assert submissions(journal) == ["order-0", "order-1"]


def test_submission_to_a_removed_wal_lands_once(journal: jm.Journal) -> None:
    broker, path = jm.Broker(journal), index_path(journal)
    for number in range(3):
        broker.submit(charge(number))
    for suffix in ("-wal", "-shm"):
        Path(f"{str(path).removesuffix('-index')}{suffix}").unlink()
    assert not refused(broker, 3)
    assert all(refused(broker, number) for number in range(4))
    assert not refused(broker, 4)
    assert submissions(journal) == [f"order-{number}" for number in range(5)]


def test_broker_may_override_submit_without_new(journal: jm.Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    class Counting(jm.Broker):
        count = 0

        def submit(self, message: jm.Message) -> jm.Event:  # type: ignore[override]  # as users write it
            self.count += 1
            return super().submit(message)

    broker = Counting(journal)

    @jm.task(broker)
    def ship(order: int) -> int:
        return order

    ship.generate(args=[7], uuid="order-7")
    with pytest.raises(jm.MessageAlreadyExistsError):
        ship.generate(args=[7], uuid="order-7")

    def looked_for(*_: object) -> None:
        raise AssertionError("an id that was made just now was looked for")

    for name in ("journeyman.tasks.broker.submit_next", "journeyman.tasks.submitting.submit_unknown"):
        monkeypatch.setattr(name, looked_for)
    made = ship.generate(args=[8])
    monkeypatch.undo()
    with pytest.raises(jm.MessageAlreadyExistsError):
        broker.submit(made)
    assert broker.count == 4
    assert submissions(journal) == ["order-7", made.uuid]
