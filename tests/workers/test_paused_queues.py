"""Paused queues: the fold's state of them, partition by partition; workers claim no task of them."""

from collections.abc import Callable
from typing import Any

import journeyman as jm
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeyman.journal.event import Draft
from journeyman.tasks import TaskState, TaskView, Verdict
from journeyman.tasks.errors import ValidationError
from journeyman.tasks.pausing import pause_queue, resume_queue
from journeyman.tasks.state import names
from journeyman.tasks.state.selection import Selection
from journeyman.tasks.state.state import TaskKind
from journeyman.tasks.state.transitions import State
from journeyman.workers.scheduling.ready_queue import ReadyTasks
from support.ledger import Ledger, picture
from support.shop import Shop, named
from support.waiting import reached

NOW, MONOTONIC = 1_800_000_000.0, 50.0
SELECTIONS = [Selection(), Selection(order="fair"), Selection(ageing_ms=1_000), Selection(("mail", "bulk"))]


# -- the fold --------------------------------------------------------------------------------------------------------


def test_queue_is_paused_from_its_event_until_resumed() -> None:
    log = Ledger()
    assert log.write(names.PAUSED, queue_name="mail", by="ada@host", reason="flood") is Verdict.ACCEPTED
    assert (log.view.is_paused(0, "mail"), log.view.is_paused(0, "bulk"), log.view.is_paused(1, "mail")) == (
        True,
        False,
        False,
    )
    assert (log.view.paused[0]["mail"].since, log.view.paused[0]["mail"].at) == (0, log.events[0].timestamp)
    assert log.write(names.PAUSED, queue_name="mail") is Verdict.REFUSED
    assert log.view.paused[0]["mail"].since == 0
    assert log.write(names.RESUMED, queue_name="bulk") is Verdict.REFUSED
    assert log.write(names.RESUMED, queue_name="mail") is Verdict.ACCEPTED
    assert not log.view.is_paused(0, "mail")


@pytest.mark.parametrize("context", [{}, {"queue": "default"}, {"queue_name": ""}, {"queue_name": 7}])
def test_foreign_event_of_that_name_pauses_nothing(context: dict[str, object]) -> None:
    log = Ledger()
    assert log.write(names.PAUSED, **context) is Verdict.FOREIGN
    paged = TaskView()
    paged.apply_page(log.page())
    assert (paged.paused, paged.unreadable) == ({}, 0)


def test_pause_refuses_no_claim_and_counts_as_no_sign_of_life() -> None:
    log = Ledger()
    log.join("w")
    log.submit("a", queue="mail")
    last = log.view.sessions[0]["w"].last
    log.write(names.PAUSED, queue_name="mail")
    assert log.view.sessions[0]["w"].last == last
    log.claim("a", "w")
    assert log.task("a").state is State.CLAIMED, "the order of the log decides who owns a task, as ever"


def test_change_of_paused_queues_is_reported_once() -> None:
    told: list[str] = []
    log = Ledger()
    log.view.paused.on_change = lambda: told.append("changed")
    for name in (names.PAUSED, names.PAUSED, names.RESUMED, names.RESUMED):
        log.write(name, queue_name="mail")
    assert told == ["changed", "changed"]


def test_snapshot_holds_paused_queues() -> None:
    log = Ledger()
    for queue in ("mail", "bulk"):
        log.write(names.PAUSED, queue_name=queue)
    log.write(names.RESUMED, queue_name="bulk")
    restored = TaskView()
    restored.restore(log.view.snapshot())
    assert picture(restored) == picture(log.view)
    assert list(restored.paused[0]) == ["mail"]


def test_older_snapshot_has_no_paused_queues() -> None:
    log = Ledger()
    log.submit("a")
    log.join("w")
    log.claim("a", "w")
    form: list[Any] = msgspec.msgpack.decode(log.view.snapshot())
    form[0], form[5] = 6, form[5]["sessions"]
    restored = TaskView()
    restored.restore(msgspec.msgpack.encode(form))
    assert picture(restored) == picture(log.view)


# -- what a worker takes ---------------------------------------------------------------------------------------------


def task(number: int, queue: str, priority: int = 0, partition: int = 0) -> TaskState:
    return TaskState(f"t{number}", TaskKind("work", queue, priority, 3, partition), number, NOW - 100 + number)


def ready(selection: Selection, *tasks: TaskState) -> ReadyTasks:
    made = ReadyTasks(selection=selection)
    made.set_workers({0: "me", 1: "me"}, {})
    for each in tasks:
        made.add(each)
    return made


def take_all(tasks: ReadyTasks, limit: int = 100) -> list[int]:
    taken: list[int] = []
    while found := tasks.take(limit, NOW, MONOTONIC):
        for each in found:
            each.touched().state = State.CLAIMED
            taken.append(each.submitted)
    return taken


@pytest.mark.parametrize("selection", SELECTIONS)
def test_paused_queue_yields_no_task_and_delays_no_other(selection: Selection) -> None:
    made = [task(number, ("mail", "bulk")[number % 2]) for number in range(6)]
    tasks = ready(selection, *made)
    tasks.set_paused({0: {"mail"}})
    assert sorted(take_all(tasks)) == [1, 3, 5]
    assert list(tasks.upcoming()) == []
    tasks.set_paused({})
    assert take_all(tasks) == [0, 2, 4]


def test_pause_holds_in_its_partition_alone() -> None:
    tasks = ready(Selection(), task(0, "mail", partition=0), task(1, "mail", partition=1))
    tasks.set_paused({0: {"mail"}, 1: set()})
    assert take_all(tasks) == [1]


def test_suspect_of_a_paused_queue_costs_no_other_its_turn() -> None:
    made = [task(0, "mail"), task(1, "bulk")]
    for each in made:
        each.touched().suspect = True
    tasks = ready(Selection(), *made)
    tasks.set_paused({0: {"mail"}})
    assert take_all(tasks) == [1]


@given(
    kinds=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2)), min_size=1, max_size=20),
    selection=st.sampled_from([Selection(), Selection(ageing_ms=50), Selection(("b", "a"))]),
    pauses=st.lists(st.tuples(st.sampled_from(["", "a", "b", "ab"]), st.integers(1, 5)), max_size=8),
)
def test_pauses_delay_tasks_and_change_nothing_else(
    kinds: list[tuple[str, int]], selection: Selection, pauses: list[tuple[str, int]]
) -> None:
    made = [task(number, queue, priority) for number, (queue, priority) in enumerate(kinds)]
    undisturbed = take_all(ready(selection, *[task(each.submitted, each.queue, each.priority) for each in made]))
    tasks = ready(selection, *made)
    taken: list[int] = []
    for queues, limit in pauses:
        tasks.set_paused({0: set(queues)})
        for each in tasks.take(limit, NOW, MONOTONIC):
            assert each.queue not in queues
            each.touched().state = State.CLAIMED
            taken.append(each.submitted)
        tasks.sweep(len(made))
    tasks.set_paused({})
    rest = take_all(tasks)
    assert sorted(taken + rest) == list(range(len(made)))
    assert rest == [number for number in undisturbed if number in rest], "what is left comes in the order it had"


# -- real workers ----------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_worker_claims_no_task_of_a_paused_queue_anywhere() -> None:
    floor, tasks = Shop(partitions=3), named(work=lambda: None)
    assert len(await pause_queue(floor.journal, "default", {"by": "ada@host"})) == 3
    assert await pause_queue(floor.journal, "default") == []
    async with floor.worker(tasks) as worker_loop:
        waiting = [await floor.submit(tasks["work"]) for _ in range(12)]
        other = await floor.submit(tasks["work"], queue="urgent")
        await floor.finished(names.SUCCEEDED)
        assert floor.task(other).state is State.SUCCEEDED
        await reached(lambda: len(worker_loop.view.live) == len(waiting), "the worker to have read all of them")
        assert {floor.task(each).state for each in waiting} == {State.READY}
        assert len(await resume_queue(floor.journal, "default")) == 3
        await floor.finished(names.SUCCEEDED, 13)


@pytest.mark.anyio
async def test_interrupted_pause_is_completed_by_the_next() -> None:
    floor = Shop(partitions=3)
    (first, *_) = await pause_queue(floor.journal, "mail")
    await resume_queue(floor.journal, "mail")
    await floor.journal.append_drafts([Draft(names.PAUSED, b'{"queue_name":"mail"}', partition=1)])
    assert [event.partition for event in await pause_queue(floor.journal, "mail")] == [0, 2]
    assert first.context == {"queue_name": "mail"}


@pytest.mark.parametrize("call", [jm.Broker.pause, jm.Broker.resume])
def test_queue_without_a_name_is_refused(call: Callable[..., bool]) -> None:
    with jm.Journal("memory://") as journal, pytest.raises(ValidationError, match="text that is not empty, got ''"):
        call(jm.Broker(journal), "")


def test_pause_returns_whether_anything_has_changed() -> None:
    with jm.Journal("memory://") as journal:
        broker = jm.Broker(journal)
        assert not broker.resume("mail")
        assert broker.pause("mail", by="ada@host", reason="flood")
        assert not broker.pause("mail")
        assert broker.resume("mail")
