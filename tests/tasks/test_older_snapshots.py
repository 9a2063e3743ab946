"""A queue that an older version has written and compacted: its snapshots are read, and its totals continue.

`compacted_before.db.gz` is a journal of that version, whose retention has removed the beginning. Two snapshots tell of
it: one of where history begins, one of the end.
"""

import gzip
from pathlib import Path
from typing import Any

import msgspec
import pytest
from journeyman.consumers.views.as_of import as_of
from journeyman.consumers.views.replica import Replica
from journeyman.consumers.views.snapshots import SnapshotKeeper
from journeyman.journal import AsyncJournal
from journeyman.tasks import State, TaskView
from journeyman.tasks.inspection.overview import overview
from journeyman.tasks.retention import compact, plan
from journeyman.tasks.state import names, older_snapshots, view_snapshot
from support.ledger import picture

WRITTEN = Path(__file__).parent / "compacted_before.db.gz"
BEGAN = 1_700_000_000.0


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The journal, unpacked."""
    path = tmp_path / "queue.db"
    path.write_bytes(gzip.decompress(WRITTEN.read_bytes()))
    return f"sqlite:///{path}"


def check(view: TaskView) -> None:
    assert sorted(view.live) == ["claimed", "delayed", "waiting"]
    assert (view.submitted, view.succeeded, view.failed, view.revoked) == (8, 3, 1, 1)
    assert view.counted_since is None, "it had forgotten none"
    assert list(view.dead) == ["dead"]
    claimed, delayed, waiting = (view.live[task] for task in ("claimed", "delayed", "waiting"))
    assert (claimed.state, claimed.worker, claimed.attempts, claimed.claim) == (State.CLAIMED, "w", 1, 13)
    assert (delayed.state, delayed.due) == (State.READY, 4_000_000_000.0)
    assert (waiting.queue, waiting.priority, waiting.max_retries, waiting.submitted) == ("mail", 2, 0, 15)
    session = view.session(0, "w")
    assert session is not None
    assert session.claims == {"claimed": claimed}


@pytest.mark.anyio
async def test_snapshot_of_the_version_before_is_read(url: str) -> None:
    async with AsyncJournal(url) as journal:
        assert (await journal.bounds()).first[0] == 12
        replica = Replica(journal, TaskView())
        await replica.catch_up()
        check(replica.view)
        await replica.aclose()


def test_snapshot_in_another_form_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(view_snapshot, "_FOLD", 99)
        state = TaskView().snapshot()
    with pytest.raises(ValueError, match="has form 99"):
        TaskView().restore(state)


@pytest.mark.anyio
async def test_events_after_the_older_snapshot_are_folded(url: str) -> None:
    async with AsyncJournal(url) as journal:
        log = await journal.open()
        oldest, newest = sorted(await log.snapshots().listed(), key=lambda label: label.reach)
        assert {oldest.schema, newest.schema} == {older_snapshots.SCHEMAS[-1]}
        await log.snapshots().remove([newest])
        check(await as_of(journal, TaskView, (await journal.bounds()).end))


@pytest.mark.anyio
async def test_totals_survive_the_next_compaction(url: str) -> None:
    async with AsyncJournal(url) as journal:
        await journal.append(names.REVOKED, {"task": "claimed"}, key="claimed")
        whole = await as_of(journal, TaskView, (await journal.bounds()).end)
        planned = await plan(journal, BEGAN + 1e7)
        assert planned.events > 0
        await compact(journal, planned)
        log = await journal.open()
        await log.snapshots().remove(
            [label for label in await log.snapshots().listed() if label.schema in older_snapshots.SCHEMAS]
        )
        left = await as_of(journal, TaskView, (await journal.bounds()).end)
        assert picture(left) == picture(whole)
        assert (left.submitted, left.succeeded, left.failed, left.revoked) == (8, 3, 1, 2)


@pytest.mark.anyio
async def test_complete_history_is_preferred_to_an_older_snapshot() -> None:
    async with AsyncJournal("memory://") as journal:
        for task in ("a", "b"):
            await journal.append(names.SUBMITTED, {"task": task, "task_name": "work"}, key=task)
        log, end = await journal.open(), (await journal.bounds()).end

        class Older(TaskView):
            snapshot_schema = older_snapshots.SCHEMAS[-1]

            def snapshot(self) -> bytes:
                return written_before()

        await SnapshotKeeper(log, Older()).take(end)
        assert list((await as_of(journal, TaskView, end)).live) == ["a", "b"]
        await log.trim(end)
        assert list((await as_of(journal, TaskView, end)).dead) == ["d0"]


def written_before(ended: int = 3, dead: int = 1) -> bytes:
    """The state of a queue in the form before."""

    def task(name: str, state: State, at: float) -> list[Any]:
        changed: list[Any] = [5, at, 0, False]
        return [name, "work", "default", 0, 3, 0, 1, 1.0, 0.0, int(state), 1, -1, "w", *changed, None, 0, False]

    rooms = [
        [],
        [task(f"t{number}", State.SUCCEEDED, BEGAN + number) for number in range(ended)],
        [task(f"d{number}", State.FAILED, BEGAN - number) for number in range(dead)],
        [],
        {"stale_outcomes": 2, "lost_claims": 0, "takeovers": 0, "unreadable": 0},
    ]
    return msgspec.msgpack.encode(rooms)


@pytest.mark.parametrize(("kept", "since"), [(3, BEGAN), (4, None)])
def test_restored_totals_say_since_when_they_count(
    kept: int, since: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(older_snapshots, "_FINISHED_KEPT", kept)
    view = TaskView()
    view.restore(written_before())
    assert (view.counted_since, view.succeeded, view.failed, view.stale_outcomes) == (since, 3, 1, 2)
    assert overview(view, BEGAN + 60).totals.counted_since == since
    again = TaskView()
    again.restore(view.snapshot())
    assert again.counted_since == since
