"""The rows of the task index: the same however the log is read and divided, whatever stands in it."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import journeyman as jm
import pytest
from journeyman.journal.log import Text
from journeyman.journal.runtime.blocking import run
from journeyman.journal.sqlite.log import SqliteLog
from journeyman.tasks.index import index as index_module
from journeyman.tasks.index.batch import Batch
from journeyman.tasks.index.index import TaskIndex
from journeyman.tasks.index.keys import key_of, keys_of
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
    with closing(sqlite3.connect(path)) as connection, connection:
        return [connection.execute(table).fetchall() for table in TABLES]


def made(journal: jm.Journal, path: Path) -> list[list[tuple[object, ...]]]:
    """The rows of an index of the journal that is made at `path`."""
    index = TaskIndex(journal.asynchronous, Store(str(path)))
    run(index.catch_up())
    run(index.aclose())
    return rows_of(path)


@pytest.mark.parametrize("seed", range(8))
def test_rows_are_the_same_however_the_log_is_read_and_divided(
    journal: jm.Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rng = random.Random(seed)
    for _ in range(12):
        end = journal.bounds().end[0]
        journal.append_all([random_event(rng, end) for _ in range(rng.randrange(1, 60))])
    texts: list[bool] = []
    take = Batch.take_text

    def noted(batch: Batch, text: Text) -> bool:
        texts.append(take(batch, text))
        return texts[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqliteLog, "text", lambda *_: None)
        expected = made(journal, tmp_path / "pages-index")
        patch.setattr(index_module, "INDEX_BATCH_EVENTS", 1)
        patch.setattr(index_module, "PAGE_EVENTS", 1)
        assert made(journal, tmp_path / "single-index") == expected
    monkeypatch.setattr(Batch, "take_text", noted)
    for page, size in ((1, 1), (3, 5), (20, 100), (20, 1_000)):
        monkeypatch.setattr(index_module, "PAGE_EVENTS", page)
        monkeypatch.setattr(index_module, "INDEX_BATCH_EVENTS", size)
        assert made(journal, tmp_path / f"text-{page}-{size}-index") == expected
    assert all(texts)
    assert texts


@pytest.mark.parametrize("ids", [IDS, [UUID], [UUID, UUID.upper()], [UUID, UUID[:-1] + "g"], [], ["-" * 36]])
def test_keys_of_a_batch_equal_those_of_each_event(ids: list[str]) -> None:
    assert keys_of(ids) == [key_of(each) for each in ids]


def test_unreadable_event_in_a_text_is_left_out(
    journal: jm.Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of the task below is no sign of life of the worker, as its `claim` is no number: the expiry is right."""
    journal.append(names.JOINED, {"worker": "w", "lease_ms": 1_000}, "w")
    journal.append(names.SUBMITTED, {"task": "a", "task_name": "add"}, "a")
    last = journal.append(names.CLAIMED, {"task": "a", "worker": "w"}, "a").offset
    journal.append(names.SUCCEEDED, {"task": "a", "worker": "w", "claim": "none"}, "a")
    ended = journal.append(names.EXPIRED, {"worker": "w", "last": last, "by": "v"}, "w").offset
    monkeypatch.setattr(index_module, "PAGE_EVENTS", 5)
    made(journal, tmp_path / "some-index")
    store = Store(str(tmp_path / "some-index"))
    assert store.sessions_of("w", 0)[0][0].ended == ended
    assert [entry.offset for entry in store.entries_of("a")] == [1, 2]


def test_damaged_record_is_left_out(journal: jm.Journal, tmp_path: Path) -> None:
    journal.append_all([(names.SUBMITTED, {"task": f"t-{n}", "task_name": "add"}, f"t-{n}") for n in range(2_000)])
    journal.close()
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute(
            "UPDATE events SET event = CAST(replace(event, 't-1234', 't-1235') AS BLOB) WHERE position = 1235"
        )
    connection.close()
    with jm.Journal(journal.url) as again:
        log = run(again.asynchronous.open())
        assert isinstance(log, SqliteLog)
        assert log.text(1_000, 500) is None
        assert log.text(1_500, 500) is not None
        keys = [row[0] for row in made(again, tmp_path / "damaged-index")[0]]
        assert len(keys) == 1_999
        assert key_of("t-1234") not in keys


def test_record_with_a_line_feed_is_read_by_pages(journal: jm.Journal, tmp_path: Path) -> None:
    journal.append_all([(names.SUBMITTED, {"task": f"t-{n}", "task_name": "add"}, f"t-{n}") for n in range(3)])
    journal.close()
    with (
        closing(sqlite3.connect(tmp_path / "shop.db")) as connection,
        connection,
    ):  # as a version wrote it that had no checksums
        broken = "UPDATE events SET checksum = NULL, event = CAST(replace(event, ',', ',' || char(10)) AS BLOB)"
        connection.execute(broken)
    connection.close()
    with jm.Journal(journal.url) as again:
        log = run(again.asynchronous.open())
        assert isinstance(log, SqliteLog)
        assert log.text(0, 3) is None
        assert len(made(again, tmp_path / "pages-index")[0]) == 3
