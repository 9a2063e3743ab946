"""The task view's snapshots are exact: a restored view that reads on equals one that replayed everything."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journeyman.journal.log import Page
from journeyman.tasks import State, TaskView
from journeyman.tasks.state import dead_letters, ended, names, view, view_snapshot
from support.ledger import Ledger, picture

TASKS = [f"task-{number}" for number in range(5)]
WORKERS = [f"worker-{number}" for number in range(3)]

steps = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(
            [*("submit", "claim", "end") * 2, "join", "leave", "expire", "revoke", "requeue", "take up", "bad"]
        ),
        st.sampled_from(TASKS),
        st.sampled_from(WORKERS),
        st.sampled_from([names.SUCCEEDED, names.FAILED, names.RETRIED, names.INTERRUPTED, names.PROGRESSED]),
    ),
    max_size=60,
)


def write(log: Ledger, kind: str, task: str, worker: str, outcome: str) -> None:
    task = f"{task}-{log.partition}"
    state = log.view.find(task)
    if kind == "submit":
        log.write(names.SUBMITTED, task=task, task_name="work", max_retries=1, due=float(log.end % 3))
    elif kind == "claim":
        log.write(names.CLAIMED, task=task, worker=worker)
    elif kind == "end":
        owner = state.worker if state is not None else worker
        log.write(outcome, task=task, worker=owner, claim=state.claim if state is not None else -1, due=3.5)
    elif kind == "join":
        log.write(names.JOINED, worker=worker, lease_ms=7, host="h", pid=3, tasks=["a"], queues=["q"], threads=2)
    elif kind == "leave":
        log.write(names.LEFT, worker=worker)
    elif kind == "expire":
        log.expire(worker, by=WORKERS[0])
    elif kind == "revoke":
        log.write(names.REVOKED, task=task)
    elif kind == "requeue":
        log.write(names.REQUEUED, task=task)
    elif kind == "take up":
        log.write(names.REQUEUED, task=task, submission={"offset": 0, "at": 1.0, "task_name": "work"})
    else:
        log.write(names.CLAIMED, task=5)


def pages(logs: list[Ledger], order: list[int]) -> list[Page]:
    """The rows of both partitions, one by one, in the order in which they were written."""
    offsets = [0, 0]
    found = []
    for partition in order:
        offset = offsets[partition]
        found.append(Page(partition, [offset], [logs[partition].rows[offset]]))
        offsets[partition] = offset + 1
    return found


def everything(seen: TaskView) -> dict[str, Any]:
    """All that the view holds, orders and submissions included; empty rooms are no rooms."""
    return {
        **picture(seen),
        "orders": [list(room) for room in (seen.live, seen.dead)],
        "forgetting": seen.dead.orders(),
        "ended": {partition: list(ended_.ends.items()) for partition, ended_ in seen._ended.items()},
        "claims": {(one.partition, one.worker): list(one.claims) for one in seen.all_sessions()},
        "attributes": sorted(vars(seen)),
    }


@given(steps, st.integers(0, 60))
@settings(max_examples=150, deadline=None)
def test_restored_view_equals_a_full_replay(taken: list[tuple[int, str, str, str, str]], cut: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ended, "ENDED_TASK_EVENTS", 5)
        patch.setattr(dead_letters, "DEAD_LETTERS_KEPT", 2)
        written = TaskView()
        logs = [Ledger(written, partition) for partition in (0, 1)]
        order = []
        for log in logs:
            log.join(WORKERS[0])
            log.join(WORKERS[1])
            order += [log.partition, log.partition]
        for partition, *step in taken:
            write(logs[partition], *step)
            order.append(partition)
        rows = pages(logs, order)
        ready: list[list[str]] = [[], []]
        replayed = TaskView()
        before = TaskView()
        restored = TaskView(on_ready=lambda task: ready[1].append(task.id))
        for page in rows[:cut]:
            replayed.apply_page(page)
            before.apply_page(page)
        restored.restore(before.snapshot())
        assert not ready[1], "restoring calls no listener"
        assert everything(restored) == everything(before), "restored, it is what it was"
        replayed.on_ready = lambda task: ready[0].append(task.id)
        for page in rows[cut:]:
            replayed.apply_page(page)
            restored.apply_page(page)
        assert everything(restored) == everything(replayed)
        assert ready[0] == ready[1], "tasks return in the same order"
        for session in restored.all_sessions():
            assert all(task is restored.live[id_] for id_, task in session.claims.items())


def a_queue() -> TaskView:
    log = Ledger()
    log.join("w")
    for task in ("a", "b", "c"):
        log.submit(task)
    log.claim("a", "w")
    seen = TaskView(keeps=lambda _name, _queue: True)
    seen.apply_page(log.page())
    return seen


def test_restored_session_holds_the_same_task_objects() -> None:
    restored = TaskView()
    restored.restore(a_queue().snapshot())
    (session,) = restored.all_sessions()
    assert session.claims["a"] is restored.live["a"]
    assert restored.live["a"].state is State.CLAIMED


def test_snapshot_leaves_submissions_in_the_log() -> None:
    seen = a_queue()
    assert "b" in seen.rows
    restored = TaskView(keeps=lambda _name, _queue: True)
    restored.restore(seen.snapshot())
    assert list(restored.live) == ["a", "b", "c"]
    assert ("b" in restored.rows, restored.rows.size) == (False, 0)


def test_invalid_snapshot_state_changes_nothing() -> None:
    seen = a_queue()
    before = everything(seen)
    encoded = msgspec.msgpack.encode
    for state in (
        b"",
        b"nonsense",
        seen.snapshot()[:-1],
        msgspec.msgpack.encode(
            [view_snapshot._FOLD, [], *[[[]] * 7] * 2, [], {"sessions": [{"claims": ["x"]}]}, {}, None]
        ),
        encoded([view_snapshot._FOLD + 1, [], *[[[]] * 7] * 2, [], {}, {}, None]),
    ):
        with pytest.raises((msgspec.MsgspecError, KeyError, ValueError)):
            seen.restore(state)
        assert everything(seen) == before


def test_snapshot_schema_follows_rules_and_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = TaskView().snapshot_schema
    assert TaskView(keeps=lambda _name, _queue: True).snapshot_schema == schema
    monkeypatch.setattr(view, "ENDED_TASK_EVENTS", 7)
    assert TaskView().snapshot_schema != schema
