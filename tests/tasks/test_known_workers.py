"""A worker is known by the log, also when it has gone: where it ran, and how it ended; on each log, by few reads."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import journeyman as jm
import pytest
import uuid_utils
from journeyman.journal.event import encode_context
from journeyman.tasks.index import search as search_module
from journeyman.tasks.index.index import task_index
from journeyman.tasks.inspection.as_of import cursor_at
from journeyman.tasks.inspection.history import task_history
from journeyman.tasks.inspection.known_workers import KnownWorker, WorkerEnd, known_workers
from journeyman.tasks.limits import INDEX_SEARCH_EVENTS
from journeyman.tasks.retention import compact, plan
from journeyman.tasks.state import names
from support.journals import OnKafka, OnMemoryPartitions, OnSqlite

HOUR = 3_600.0


def made(seconds_ago: float = 0.0) -> str:
    """An id as workers make them."""
    return str(uuid_utils.uuid7(nanoseconds=time.time_ns() - int(seconds_ago * 1e9)))


def tell(journal: jm.Journal, name: str, worker: str, partition: int = 0, ago: float = 0.0, **fields: Any) -> int:
    """Append an event of a worker; returns its offset."""
    context = encode_context(name, {"worker": worker} | fields)
    draft = jm.Draft(name, context, worker, partition, timestamp=time.time() - ago if ago else None)
    return journal.append_drafts([draft])[0].offset


def join(journal: jm.Journal, worker: str, partition: int = 0, ago: float = 0.0, host: str = "atlas") -> int:
    """Open a session, with what a worker says of itself."""
    terms = {"host": host, "pid": 7, "lease_ms": 2_000, "slots": 3, "queues": ["mail"], "tasks": ["send"]}
    return tell(journal, names.JOINED, worker, partition, ago, **terms)


def fill(journal: jm.Journal, count: int, ago: float = 0.0) -> None:
    """Append events of other programs."""
    at = time.time() - ago if ago else None
    journal.append_drafts([jm.Draft("order.paid", b"{}", "k", 0, timestamp=at) for _ in range(count)])


def gone(journal: jm.Journal, typed: str, until: float | None = None) -> list[KnownWorker]:
    """The workers that have gone and are found, as of the end of the log or a moment."""
    return [each for each in known(journal, typed, until) if each.end is not None]


def known(journal: jm.Journal, typed: str, until: float | None = None) -> list[KnownWorker]:
    """The workers that are found, as of the end of the log or a moment."""
    cursor = journal.run(cursor_at(journal.asynchronous, until))
    return journal.run(known_workers(journal.asynchronous, typed, cursor))


class Suite:
    """What holds on every log."""

    @pytest.fixture
    def journal(self, tmp_path: Path) -> Iterator[jm.Journal]:
        with jm.Journal(self.url(tmp_path)) as opened:  # type: ignore[attr-defined]
            yield opened

    def places(self, journal: jm.Journal) -> range:
        return range(len(journal.bounds().end))

    def test_worker_that_has_left_is_known(self, journal: jm.Journal) -> None:
        worker = made()
        for partition in self.places(journal):
            join(journal, worker, partition)
        assert [(each.line.worker, each.end) for each in known(journal, worker)] == [(worker, None)]
        for partition in self.places(journal):
            assert gone(journal, worker) == []
            tell(journal, names.LEFT, worker, partition)
        (found,) = gone(journal, worker)
        assert found.end is not None
        assert (found.line.worker, found.line.host, found.line.pid) == (worker, "atlas", 7)
        assert (found.line.queues, found.line.tasks, found.line.slots) == (("mail",), ("send",), 3)
        assert (found.line.partitions, found.line.claims) == (len(self.places(journal)), 0)
        assert (found.end.how, found.end.by) == ("left", None)
        assert found.line.joined_at <= found.end.at == found.line.last_sign
        assert gone(journal, worker[-8:]) == gone(journal, f"…{worker[-8:]}") == [found]

    def test_expired_worker_is_known_with_its_observer(self, journal: jm.Journal) -> None:
        worker, other = made(), made()
        join(journal, worker)
        join(journal, other, host="borealis")
        last = tell(journal, names.BEAT, worker)
        tell(journal, names.EXPIRED, worker, last=last - 1, by=other)
        assert gone(journal, worker) == []  # the expiry was refused
        tell(journal, names.EXPIRED, worker, last=last, by=other)
        (found,) = gone(journal, worker)
        assert found.end is not None
        assert found.end == WorkerEnd("expired", found.end.at, other, "borealis")
        assert found.line.last_sign is not None
        assert found.line.last_sign < found.end.at

    def test_unknown_worker_is_none(self, journal: jm.Journal) -> None:
        tell(journal, names.EXPIRED, "stranger", last=0, by="other")
        assert gone(journal, "stranger") == gone(journal, made()) == gone(journal, "0000abcd") == []


class TestOnMemory(OnMemoryPartitions, Suite): ...


class TestOnKafka(OnKafka, Suite): ...


class TestOnSqlite(OnSqlite, Suite):
    def test_end_of_an_id_finds_each_worker_with_it(self, journal: jm.Journal) -> None:
        workers = [f"{made()[:-6]}c0ffee" for _ in range(3)]
        for worker in workers:
            join(journal, worker)
            tell(journal, names.LEFT, worker)
        journal.run(task_index(journal.asynchronous).catch_up())
        join(journal, "the-café")
        tell(journal, names.LEFT, "the-café")
        assert sorted(each.line.worker for each in gone(journal, "C0FFEE")) == sorted(workers)
        journal.run(task_index(journal.asynchronous).catch_up())
        assert [each.line.worker for each in gone(journal, "…café")] == ["the-café"]
        assert gone(journal, "coffee%%") == gone(journal, "____") == []

    def test_moment_decides_what_had_gone(self, journal: jm.Journal) -> None:
        worker = made(HOUR)
        join(journal, worker, ago=HOUR)
        tell(journal, names.LEFT, worker, ago=HOUR / 2)
        now = time.time()
        assert gone(journal, worker, now - 2 * HOUR) == gone(journal, worker, now - HOUR * 3 / 4) == []
        assert [each.end and each.end.how for each in gone(journal, worker, now - HOUR / 4)] == ["left"]

    def test_worker_that_came_back_has_its_last_end(self, journal: jm.Journal) -> None:
        worker = made()
        last = join(journal, worker)
        tell(journal, names.EXPIRED, worker, last=last, by=made())
        join(journal, worker, host="borealis")
        tell(journal, names.LEFT, worker)
        assert [(each.line.host, each.end and each.end.how) for each in gone(journal, worker)] == [("borealis", "left")]

    def test_long_unindexed_log_is_searched_only(self, journal: jm.Journal, monkeypatch: pytest.MonkeyPatch) -> None:
        decoded: list[int] = []
        take = search_module._take

        async def noted(log: Any, batch: Any, offsets: list[int]) -> bool:
            decoded.extend(offsets)
            return await take(log, batch, offsets)

        monkeypatch.setattr(search_module, "_take", noted)
        worker, other = made(HOUR), made(HOUR)
        join(journal, other, ago=HOUR, host="borealis")
        fill(journal, INDEX_SEARCH_EVENTS, ago=HOUR)
        joined = join(journal, worker, ago=HOUR)
        fill(journal, INDEX_SEARCH_EVENTS, ago=HOUR / 2)
        tell(journal, names.EXPIRED, worker, last=joined, by=other)
        (found,) = gone(journal, worker)
        assert found.end is not None
        assert found.end == WorkerEnd("expired", found.end.at, other, "borealis")
        assert [each.line.worker for each in gone(journal, worker[-8:])] == [worker]
        assert 0 < len(decoded) < 40

    def test_worker_older_than_the_log_is_known_by_its_end(self, journal: jm.Journal, tmp_path: Path) -> None:
        worker = made()
        join(journal, worker)
        fill(journal, 5)
        left = tell(journal, names.LEFT, worker)
        (before,) = gone(journal, worker)
        self.remove_before(journal, left)
        assert gone(journal, worker) == [before]
        for each in tmp_path.glob("*-index*"):
            each.unlink()
        assert gone(journal, worker) == [before]
        fill(journal, 1)
        self.remove_before(journal, left + 1)
        assert gone(journal, worker) == []

    def remove_before(self, journal: jm.Journal, offset: int) -> None:
        moment = journal.read({0: offset}, 1).events[0].timestamp - 5e-7
        planned = journal.run(plan(journal.asynchronous, moment))
        assert dict(planned.before) == {0: offset}
        journal.run(compact(journal.asynchronous, planned))

    @pytest.mark.parametrize("version", [1, 2])
    def test_older_index_is_rebuilt(self, journal: jm.Journal, tmp_path: Path, version: int) -> None:
        worker = made()
        join(journal, worker)
        tell(journal, names.LEFT, worker)
        before = gone(journal, worker)
        journal.run(task_index(journal.asynchronous).catch_up())
        url = journal.url
        journal.close()
        (path,) = tmp_path.glob("*-index")
        with sqlite3.connect(path) as index:
            index.execute("DROP TABLE sessions")
            index.execute(f"PRAGMA user_version = {version}")
        index.close()
        with jm.Journal(url) as again:
            assert gone(again, worker) == before
            assert gone(again, worker[-8:]) == before

    def test_first_history_has_the_hosts_of_older_workers(self, journal: jm.Journal) -> None:
        worker, task = made(HOUR), made(60.0)
        join(journal, worker, ago=HOUR)
        fill(journal, INDEX_SEARCH_EVENTS + 1, ago=HOUR / 2)
        submission = {"task": task, "task_name": "send"}
        journal.append(names.SUBMITTED, submission, task)
        journal.append(names.CLAIMED, {"task": task, "worker": worker}, task)
        assert journal.run(task_history(journal.asynchronous, task)).hosts == {worker: "atlas"}
