"""The stores of snapshots: whole or not there, verified, pruned; the same on every log."""

import asyncio
import logging
import os
import uuid
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from journeyman.journal.cursor import Cursor
from journeyman.journal.log import Log
from journeyman.journal.runtime import blocking
from journeyman.journal.snapshots import SnapshotLabel, fitting, load, prune, seal, unseal
from journeyman.journal.url import log_from_url
from support.service import service_here

Drive = Callable[[Coroutine[Any, Any, Any]], Any]


class Place:
    """Where logs are opened, again and again on the same storage, and how their coroutines are driven."""

    def __init__(self, url: str, drive: Drive) -> None:
        self.url = url
        self.drive = drive

    def run(self, test: Callable[[Log], Coroutine[Any, Any, None]]) -> None:
        async def opened() -> None:
            log = log_from_url(self.url)
            await log.open()
            try:
                await test(log)
            finally:
                await log.aclose()

        self.drive(opened())


@pytest.fixture(
    params=[
        "memory",
        "memory in a thread",
        "sqlite",
        "sqlite in a thread",
        "http",
        pytest.param("kafka", marks=pytest.mark.kafka),
    ]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    name = str(uuid.uuid4())
    drive: Drive = blocking.run if "thread" in request.param else asyncio.run
    kept = f"memory://{name}" if "memory" in request.param else f"sqlite:///{tmp_path}/{name}.db"
    if request.param == "kafka":
        kept = f"kafka://{request.getfixturevalue('kafka_bootstrap')}/test-{name}?partitions=1"
    if request.param == "http":
        with service_here(kept) as address:
            yield Place(address, drive)
    else:
        yield Place(kept, drive)


def sealed(view: str = "v", reach: int = 5, state: bytes = b"state", schema: str = "1") -> tuple[SnapshotLabel, bytes]:
    return seal(view, schema, {0: reach}, 1_800_000_000.25, state, f"0:{reach - 1}:77")


def test_saved_snapshot_is_listed_and_loaded_after_reopening(place: Place) -> None:
    label, stored = sealed(state=os.urandom(3_000_000))  # more than one part, where there are parts

    async def save(log: Log) -> None:
        assert list(await log.snapshots().listed()) == []
        assert await log.snapshots().load(label) is None
        await log.snapshots().save(label, stored)

    async def look(log: Log) -> None:
        store = log.snapshots()
        assert list(await store.listed()) == [label]
        assert await store.load(label) == stored
        found = await load(store, label)
        assert found is not None
        assert found.state == unseal(label, stored)
        assert await store.load(sealed()[0]) is None

    place.run(save)
    place.run(look)


def test_snapshot_removal_is_idempotent(place: Place) -> None:
    async def test(log: Log) -> None:
        store = log.snapshots()
        await store.remove([sealed()[0]])
        kept, gone = sealed(reach=6), sealed(reach=5)
        for label, stored in (kept, gone):
            await store.save(label, stored)
        await store.remove([gone[0]])
        await store.remove([gone[0]])
        assert list(await store.listed()) == [kept[0]]
        assert await store.load(gone[0]) is None

    place.run(test)


def test_pruning_keeps_newest_and_start_of_trimmed_history(place: Place) -> None:
    async def test(log: Log) -> None:
        store = log.snapshots()
        other = sealed(view="other", reach=1)
        saved = {reach: sealed(reach=reach, schema=str(reach % 2)) for reach in (1, 2, 3, 4, 5)}
        for label, stored in [other, *saved.values()]:
            await store.save(label, stored)
        await prune(store, "v", {0: 3}, keep=2)
        assert {label.reach for label in await store.listed() if label.view == "v"} == {3, 4, 5}
        await prune(store, "v", {0: 0}, keep=2)
        assert {label.reach for label in await store.listed() if label.view == "v"} == {4, 5}
        assert other[0] in await store.listed()

    place.run(test)


def test_damaged_snapshot_is_logged_once_and_not_used(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    async def test(log: Log) -> None:
        store = log.snapshots()
        label, stored = sealed()
        await store.save(label, stored[:-1] + bytes([stored[-1] ^ 1]))
        with caplog.at_level(logging.WARNING, "journeyman"):
            assert await load(store, label) is None
            assert await load(store, label) is None

    place.run(test)
    assert len([text for text in caplog.messages if "its hash does not match" in text]) == 1


def test_tampered_label_is_rejected() -> None:
    label, stored = sealed()
    assert unseal(label, stored) == b"state"
    for change in (
        {"cursor": Cursor({0: 6})},
        {"view": "w"},
        {"schema": "2"},
        {"anchor": "0:4:78"},
        {"created": 1.0},
        {"size": label.size + 1},
        {"id": "another"},
    ):
        with pytest.raises(ValueError):
            unseal(label._replace(**change), stored)


def test_oversized_state_is_refused_by_the_name_of_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journeyman.journal.snapshots.SNAPSHOT_BYTES_MAX", 4)
    with pytest.raises(ValueError, match="SNAPSHOT_BYTES_MAX"):
        sealed(state=b"state")


def test_state_unpacking_beyond_the_limit_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    label, stored = sealed(state=b"x" * 1_000)
    monkeypatch.setattr("journeyman.journal.snapshots.SNAPSHOT_BYTES_MAX", 999)
    with pytest.raises(ValueError, match="larger than 999"):
        unseal(label, stored)


def test_snapshot_must_fit_view_first_event_and_moment() -> None:
    labels = [sealed(reach=reach)[0] for reach in (3, 9, 5, 7)]
    labels += [sealed(view="w", reach=6)[0], sealed(schema="2", reach=6)[0]]
    assert [label.reach for label in fitting(labels, "v", "1", first={0: 0})] == [9, 7, 5, 3]
    assert [label.reach for label in fitting(labels, "v", "1", first={0: 5}, at={0: 8})] == [7, 5]
    assert fitting(labels, "v", "1", first={0: 0, 1: 0}) == [], "it says nothing of partition 1"
    both = seal("v", "1", {0: 3, 1: 4}, 0.0, b"")[0]
    assert fitting([both], "v", "1", first={0: 0}, at={0: 3}) == [], "partition 1 is later than asked for"


def test_older_file_gets_the_table_with_its_first_snapshot(tmp_path: Path) -> None:
    place = Place(f"sqlite:///{tmp_path}/old.db", asyncio.run)

    async def save(log: Log) -> None:
        await log.snapshots().save(*sealed())
        assert len(await log.snapshots().listed()) == 1

    async def nothing(log: Log) -> None:
        assert list(await log.snapshots().listed()) == []

    place.run(nothing)
    tables = "SELECT name FROM sqlite_schema WHERE name = 'snapshots'"
    assert apsw.Connection(f"{tmp_path}/old.db").execute(tables).fetchall() == []
    place.run(save)


def test_nonsensical_snapshot_row_is_passed_over(tmp_path: Path) -> None:
    place = Place(f"sqlite:///{tmp_path}/j.db", asyncio.run)

    async def save(log: Log) -> None:
        for reach in (1, 2):
            await log.snapshots().save(*sealed(reach=reach))

    async def look(log: Log) -> None:
        assert [label.reach for label in await log.snapshots().listed()] == [2]

    place.run(save)
    connection = apsw.Connection(f"{tmp_path}/j.db")
    connection.execute("UPDATE snapshots SET cursor = 'nowhere' WHERE cursor = '0:1'")
    connection.close()
    place.run(look)
