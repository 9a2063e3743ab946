"""The task index filled in bulk: the same rows as from decoded records, whatever stands in the log."""

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import apsw
import journeyman as jm
import pytest
from journeyman.journal.log import Bounds, Log
from journeyman.journal.runtime.blocking import run
from journeyman.tasks.index import bulk as bulk_module
from journeyman.tasks.index import index as index_module
from journeyman.tasks.index.bulk import Bulk, read_bulk
from journeyman.tasks.index.index import TaskIndex
from journeyman.tasks.index.keys import KEY_SQL, key_of
from journeyman.tasks.index.store import Store
from journeyman.tasks.state import names

UUID = "0192f6b1-5c7a-7d31-9f60-3a2b8a4c9d11"
IDS = [
    UUID,
    UUID.upper(),
    "0192f6b1-5c7a-7d31-9f60-3a2b8a4c9d12",
    "order-7",
    "1",
    " ",
    "tab\tin it",
    'quote"in it',
    "back\\slash",
    "naïve-ü-漢字",
    "x" * 36,
    "0192f6b15c7a7d319f603a2b8a4c9d11----",
    "0192f6b1-5c7a-7d31-9f60-3a2b8a4c9d1g",
    "y" * 48,
    "z" * 49,
    "é" * 30,
    "[",
    ",null]",
]
WORKERS = [UUID, "w", 'w"\n', "0192f6b1-0000-7d31-9f60-3a2b8a4c9d11"]
# Of other programs' events under a task's key, readers count those since its submission.
TABLES = (
    "SELECT * FROM tasks",
    "SELECT * FROM more WHERE kind > 0 OR offset + (1 << 24) > (SELECT submitted FROM tasks WHERE key = more.key)",
    "SELECT * FROM sessions",
    "SELECT * FROM covered",
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[jm.Journal]:
    with jm.Journal(f"sqlite:///{tmp_path}/shop.db?sync=normal") as opened:
        yield opened


def random_event(rng: random.Random, end: int) -> tuple[str, dict[str, object], str | None]:
    task, worker, near = rng.choice(IDS), rng.choice(WORKERS), rng.randrange(max(0, end - 4), end) if end else 0
    name = rng.choice(
        [*names.TASK_EVENTS, *names.WORKER_EVENTS, names.SUBMITTED, names.CLAIMED, names.SUCCEEDED, "order.paid"]
    )
    if name in names.WORKER_EVENTS:
        return name, {"worker": worker, "by": rng.choice(WORKERS), "last": near}, worker
    if name == "order.paid":
        return name, {"task": task, "name": "task.claimed", "worker": worker}, rng.choice([task, None])
    context: dict[str, object] = {"task": task, "worker": worker, "claim": near, "result": {"task": "other"}}
    if rng.random() < 0.3:
        del context["worker"]
    if rng.random() < 0.2:
        context = dict(reversed(context.items()))
    return name, context, task


def rows_of(path: Path) -> list[list[tuple[object, ...]]]:
    with sqlite3.connect(path) as connection:
        return [connection.execute(table).fetchall() for table in TABLES]


def made(journal: jm.Journal, path: Path) -> list[list[tuple[object, ...]]]:
    """The rows of an index of the journal that is made at `path`."""
    index = TaskIndex(journal.asynchronous, Store(str(path)))
    run(index.catch_up())
    run(index.aclose())
    return rows_of(path)


@pytest.mark.parametrize("seed", range(8))
def test_bulk_gives_the_rows_that_decoding_gives(
    journal: jm.Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rng = random.Random(seed)
    for _ in range(12):
        end = journal.bounds().end[0]
        journal.append_all([random_event(rng, end) for _ in range(rng.randrange(1, 60))])
    bulks: list[Bulk | None] = []

    async def noted(log: Log, base: int, end: int, *, careful: bool) -> Bulk | None:
        bulks.append(await read_bulk(log, base, end, careful=careful))
        return bulks[-1]

    async def refused(_log: Log, _base: int, _end: int, *, careful: bool) -> None:
        return None

    monkeypatch.setattr(bulk_module, "read_bulk", refused)
    expected = made(journal, tmp_path / "decoded-index")
    monkeypatch.setattr(bulk_module, "read_bulk", noted)
    for size in (5, 37, 1_000):
        monkeypatch.setattr(index_module, "INDEX_BATCH_EVENTS", 2)
        monkeypatch.setattr(index_module, "INDEX_LONG_BATCH_EVENTS", size)
        assert made(journal, tmp_path / f"bulk-{size}-index") == expected
    assert bulks
    assert None not in bulks


@pytest.mark.parametrize("task", IDS)
def test_key_in_sql_is_the_key_in_python(task: str) -> None:
    if len(task.encode()) <= 48:
        found = apsw.Connection(":memory:").execute(f"SELECT {KEY_SQL} FROM (SELECT ?1 AS id)", (task.encode(),)).get
        assert found == key_of(task)


def test_sign_of_life_that_the_fold_refuses_is_none(journal: jm.Journal, tmp_path: Path) -> None:
    """The claim below is no sign of life of the worker, as its `claim` is no number: the expiry is right."""
    journal.append(names.JOINED, {"worker": "w", "lease_ms": 1_000}, "w")
    journal.append(names.SUBMITTED, {"task": "a", "task_name": "add"}, "a")
    last = journal.append(names.CLAIMED, {"task": "a", "worker": "w"}, "a").offset
    journal.append(names.SUCCEEDED, {"task": "a", "worker": "w", "claim": "none"}, "a")
    ended = journal.append(names.EXPIRED, {"worker": "w", "last": last, "by": "v"}, "w").offset
    log = run(journal.asynchronous.open())
    assert run(read_bulk(log, 0, 5)) is None
    made(journal, tmp_path / "some-index")
    assert Store(str(tmp_path / "some-index")).sessions_of("w", 0)[0][0].ended == ended


def test_bulk_ends_before_a_damaged_record(journal: jm.Journal, tmp_path: Path) -> None:
    journal.append_all([(names.SUBMITTED, {"task": f"t-{n}", "task_name": "add"}, f"t-{n}") for n in range(2_000)])
    journal.close()
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("UPDATE events SET event = replace(event, 't-1234', 't-1235') WHERE position = 1235")
    connection.close()
    with jm.Journal(journal.url) as again:
        log = run(again.asynchronous.open())
        bulk = run(read_bulk(log, 0, 2_000))
        assert bulk is not None
        assert bulk.next_offset == 1_000
        rows = made(again, tmp_path / "damaged-index")[0]
        assert len(rows) == 1_999
        assert (key_of("t-1234") in [row[0] for row in rows]) is False
        assert isinstance(run(log.bounds()), Bounds)
