"""The order in which a worker claims ready tasks: priority, shares, stealing, delays. The test moves the clock."""

from collections import Counter
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journeyman.tasks import SessionState, State, TaskState
from journeyman.tasks.message import new_id
from journeyman.tasks.state.selection import QueueOrder, Selection
from journeyman.tasks.state.state import TaskKind
from journeyman.workers.limits import STEAL_DELAY_SECONDS, STEAL_TASKS_MAX
from journeyman.workers.scheduling import ready_queue
from journeyman.workers.scheduling.ready_queue import ReadyTasks
from journeyman.workers.scheduling.rendezvous import Rendezvous
from support.shop import among

NOW, MONOTONIC = 1_800_000_000.0, 50.0
LATER = MONOTONIC + STEAL_DELAY_SECONDS


@cache
def kind_of(queue: str, priority: int, partition: int) -> TaskKind:
    return TaskKind("work", queue, priority, 3, partition)


def ready_task(
    number: int, priority: int = 0, queue: str = "default", due: float = 0.0, partition: int = 0
) -> TaskState:
    return TaskState(f"t{number}", kind_of(queue, priority, partition), number, NOW, due)


def alone(queues: list[str] | None = None) -> ReadyTasks:
    tasks = ReadyTasks(selection=Selection(tuple(queues) if queues is not None else None))
    tasks.set_workers({0: "me"}, {})
    return tasks


def numbers(taken: list[TaskState]) -> list[int]:
    return [task.submitted for task in taken]


def claim(task: TaskState, worker: str = "other") -> None:
    run = task.touched()
    run.state, run.worker, run.changed = State.CLAIMED, worker, run.changed + 1_000


def shared(count: int, workers: list[str], me: str) -> tuple[ReadyTasks, list[TaskState]]:
    tasks = ReadyTasks()
    tasks.set_workers({0: me}, {0: among(*workers)})
    made = [ready_task(number) for number in range(count)]
    for task in made:
        tasks.add(task)
    return tasks, made


# -- suspects --------------------------------------------------------------------------------------------------------


def suspect(number: int, priority: int = 0, queue: str = "default") -> TaskState:
    task = ready_task(number, priority, queue)
    run = task.touched()
    run.expiries, run.suspect = 2, True
    return task


@pytest.mark.parametrize("selection", [Selection(), Selection(order="fair"), Selection(ageing_ms=1_000)])
def test_suspect_is_taken_alone_in_turn_and_delays_no_other(selection: Selection) -> None:
    tasks = ReadyTasks(selection=selection)
    tasks.set_workers({0: "me"}, {})
    made = [ready_task(0), suspect(1), ready_task(2), suspect(3), suspect(4), ready_task(5)]
    for task in made:
        tasks.add(task)

    first = tasks.take(10, NOW, MONOTONIC)
    assert numbers(first) == [0, 1, 2, 5]
    for task in first:
        claim(task)
    for _ in range(3):  # while it has one
        tasks.lets_suspect_in = False
        assert numbers(tasks.take(10, NOW, MONOTONIC)) == []
    tasks.add(late := ready_task(6))
    for number in (3, 4):
        tasks.lets_suspect_in = True
        taken = tasks.take(10, NOW, MONOTONIC)
        assert numbers(taken) == ([3, 6] if number == 3 else [4]), "the first one, before what came later"
        for task in taken:
            claim(task)
    assert late.state is State.CLAIMED
    tasks.lets_suspect_in = True
    assert numbers(tasks.take(10, NOW, MONOTONIC)) == []


def test_suspect_taken_elsewhere_is_not_offered() -> None:
    tasks = alone()
    made = [suspect(1), suspect(2), suspect(3)]
    for task in made:
        tasks.add(task)
    assert numbers(tasks.take(10, NOW, MONOTONIC)) == [1]
    claim(made[1])
    tasks.lets_suspect_in = True
    assert numbers(tasks.take(10, NOW, MONOTONIC)) == [3]


def test_suspects_all_taken_elsewhere_are_forgotten() -> None:
    tasks = alone()
    made = [suspect(1), suspect(2), suspect(3)]
    for task in made:
        tasks.add(task)
    assert numbers(tasks.take(10, NOW, MONOTONIC)) == [1]
    for task in made:
        claim(task)
    tasks.lets_suspect_in = True
    assert numbers(tasks.take(10, NOW, MONOTONIC)) == []
    assert tasks._aside == []


# -- order -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["a", "b"])), max_size=40), st.integers(1, 7))
@settings(max_examples=100, deadline=None)
def test_tasks_are_ordered_by_queue_priority_and_arrival(items: list[tuple[int, str]], step: int) -> None:
    tasks = alone(["b", "a"])
    made = [ready_task(number, priority, queue) for number, (priority, queue) in enumerate(items)]
    for task in made:
        tasks.add(task)
    taken: list[TaskState] = []
    while some := tasks.take(step, NOW, MONOTONIC):
        assert len(some) <= step
        for task in some:
            claim(task)
        taken += some
    expected = sorted(made, key=lambda task: (task.queue != "b", task.priority, task.submitted))
    assert numbers(taken) == numbers(expected)


def test_unlisted_queues_are_alike() -> None:
    tasks = alone()
    for number, queue in enumerate(["z", "a", "m"]):
        tasks.add(ready_task(number, queue=queue))
    assert numbers(tasks.take(9, NOW, MONOTONIC)) == [0, 1, 2]


@pytest.mark.parametrize("order", ["strict", "fair"])
def test_upcoming_tasks_are_those_to_be_taken_best_first(order: QueueOrder) -> None:
    tasks = ReadyTasks(selection=Selection(("b", "a", "c"), order=order))
    tasks.set_workers({0: "me"}, {})
    made = [
        ready_task(number, priority, queue)
        for number, (queue, priority) in enumerate([("a", 1), ("b", 1), ("c", 0), ("b", 0), ("a", 0), ("b", 0)])
    ]
    for task in made:
        tasks.add(task)
    tasks.set_paused({0: {"c"}})
    claim(made[5])
    upcoming = numbers(list(tasks.upcoming()))
    assert sorted(upcoming) == [0, 1, 3, 4]
    assert upcoming == [3, 1, 4, 0] or order == "fair"


@pytest.mark.parametrize("selection", [Selection(), Selection(order="fair"), Selection(ageing_ms=1_000)])
def test_task_that_is_due_at_this_moment_is_taken(selection: Selection) -> None:
    tasks, task = ReadyTasks(selection=selection), ready_task(0)
    tasks.set_workers({0: "me"}, {})
    tasks.add(task)
    task.due = NOW  # its retry, as its first entry is reached
    assert tasks.take(9, NOW, MONOTONIC) == [task]


def test_later_task_of_higher_priority_comes_first() -> None:
    tasks = alone()
    tasks.add(ready_task(0, priority=5))
    tasks.add(ready_task(1, priority=0))
    assert numbers(tasks.take(1, NOW, MONOTONIC)) == [1]


def test_queues_are_matched_by_their_exact_names() -> None:
    tasks = alone(["q1"])
    tasks.add(ready_task(0, queue="q1_other"))
    tasks.add(ready_task(1, queue="q1"))
    assert numbers(tasks.take(9, NOW, LATER)) == [1]


def test_task_unknown_to_the_worker_is_left_alone() -> None:
    tasks = ReadyTasks({"work"}.__contains__)
    tasks.set_workers({0: "me"}, {})
    stranger = ready_task(0)
    stranger.kind = TaskKind("strange", "default", 0, 3, 0)
    tasks.add(stranger)
    tasks.add(ready_task(1))
    assert numbers(tasks.take(9, NOW, LATER)) == [1]


# -- what has changed since it was added -----------------------------------------------------------------------------


def test_task_claimed_elsewhere_is_skipped() -> None:
    tasks, made = shared(3, ["me"], "me")
    claim(made[1])
    assert numbers(tasks.take(9, NOW, MONOTONIC)) == [0, 2]


def test_returned_task_is_offered_once() -> None:
    tasks, made = shared(3, ["me"], "me")
    claim(made[1])
    made[1].touched().state = State.READY
    tasks.add(made[1])
    assert sorted(numbers(tasks.take(9, NOW, MONOTONIC))) == [0, 1, 2]


def test_task_returned_with_a_delay_is_not_offered_early() -> None:
    tasks, made = shared(1, ["me"], "me")
    claim(made[0])
    made[0].touched().state, made[0].due = State.READY, NOW + 5
    tasks.add(made[0])
    assert tasks.take(9, NOW, MONOTONIC) == []
    assert tasks.next_due() == NOW + 5
    assert numbers(tasks.take(9, NOW + 5, MONOTONIC)) == [0]


QUEUES = ("a", "b")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.tuples(st.integers(0, 2), st.sampled_from(QUEUES), st.sampled_from([0, 5, 100]))),
        st.tuples(st.just("suspect"), st.integers(0, 20)),
        st.tuples(st.just("take"), st.integers(0, 5)),
        st.tuples(st.just("lose"), st.integers(0, 20)),
        st.tuples(st.just("return"), st.tuples(st.integers(0, 20), st.sampled_from([0, 5, 100]))),
        st.tuples(st.just("pause"), st.frozensets(st.sampled_from(QUEUES))),
        st.tuples(st.just("share"), st.sets(st.sampled_from(["you", "she"]))),
        st.tuples(st.just("wait"), st.sampled_from([0.001, STEAL_DELAY_SECONDS, 10.0])),
        st.tuples(st.just("sweep"), st.none()),
    ),
    max_size=40,
)


class Queue:
    """A queue of ready tasks, what stands in it, and a clock."""

    def __init__(self, selection: Selection) -> None:
        self.tasks = ReadyTasks(selection=selection)
        self.made: list[TaskState] = []
        self.paused: frozenset[str] = frozenset()
        self.passed = 0.0
        self.share(set())

    def add(self, what: tuple[int, str, float]) -> None:
        priority, queue, delay = what
        self.made.append(ready_task(len(self.made), priority, queue, NOW + self.passed + delay if delay else 0.0))
        self.tasks.add(self.made[-1])

    def suspect(self, number: int) -> None:
        for task in self.made[number : number + 1]:
            task.touched().suspect = True

    def lose(self, number: int) -> None:
        for task in self.made[number : number + 1]:
            claim(task)

    def give_back(self, which: tuple[int, float]) -> None:
        number, delay = which
        for task in self.made[number : number + 1]:
            if task.state is State.CLAIMED:
                task.touched().state, task.due = State.READY, NOW + self.passed + delay if delay else 0.0
                self.tasks.add(task)

    def pause(self, queues: frozenset[str]) -> None:
        self.paused = queues
        self.tasks.set_paused({0: queues})

    def share(self, others: set[str]) -> None:
        self.tasks.set_workers({0: "me"}, {0: among("me", *others)})

    def wait(self, seconds: float) -> None:
        self.passed += seconds

    def sweep(self) -> None:
        self.tasks.sweep(0)

    def take(self, limit: int) -> list[TaskState]:
        self.tasks.lets_suspect_in = not any(task.run.suspect and task.state is State.CLAIMED for task in self.made)
        waiting = {task.id for task in self.made if self.may_be_taken(task)}
        taken = self.tasks.take(limit, NOW + self.passed, MONOTONIC + self.passed)
        assert len({task.id for task in taken}) == len(taken) <= limit
        assert {task.id for task in taken} <= waiting
        assert sum(task.run.suspect for task in taken) <= 1
        for task in taken:
            claim(task)
        assert self.tasks._entries == sum(len(list(level.entries())) for level in self.tasks._levels.values())
        return taken

    def may_be_taken(self, task: TaskState) -> bool:
        due = task.state is State.READY and task.due <= NOW + self.passed
        held = task.run.suspect and any(each.run.suspect and each.state is State.CLAIMED for each in self.made)
        return due and not held and task.queue not in self.paused


@pytest.mark.parametrize(
    "selection",
    [Selection(), Selection(QUEUES), Selection(QUEUES, order="fair", weights={"a": 3}), Selection(ageing_ms=1_000)],
)
@given(steps=STEPS)
@settings(max_examples=60)
def test_ready_task_is_offered_once_whatever_happens(selection: Selection, steps: list[tuple[str, Any]]) -> None:
    queue = Queue(selection)
    for step, value in steps:
        if step == "return":
            queue.give_back(value)
        else:
            getattr(queue, step)(*() if value is None else (value,))
    queue.pause(frozenset())
    for task in queue.made:
        if task.run.suspect and task.state is State.CLAIMED:
            task.touched().state = State.SUCCEEDED
    queue.wait(1_000.0)
    for _ in range(2 * len(queue.made) + 2):
        for task in queue.take(5):
            task.touched().state = State.SUCCEEDED
        queue.wait(1.0)
    assert not [task for task in queue.made if task.state is State.READY]


# -- delay -----------------------------------------------------------------------------------------------------------


def test_delayed_tasks_come_in_due_order() -> None:
    tasks = alone()
    for number, seconds in enumerate([30, 10, 20]):
        tasks.add(ready_task(number, due=NOW + seconds))
    assert tasks.take(9, NOW + 9.999, MONOTONIC) == []
    assert tasks.next_due() == NOW + 10
    assert numbers(tasks.take(9, NOW + 20, MONOTONIC)) == [1, 2]
    assert tasks.next_due() == NOW + 30


def test_revoked_delayed_task_is_not_waited_for() -> None:
    tasks = alone()
    task = ready_task(0, due=NOW + 10)
    tasks.add(task)
    task.touched().state = State.REVOKED
    assert tasks.next_due() is None


# -- shares ----------------------------------------------------------------------------------------------------------


@given(st.integers(1, 6), st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_shares_leave_nothing_out_and_do_not_overlap(workers: int, count: int) -> None:
    ids = [f"w{number}" for number in range(workers)]
    shares = [numbers(shared(count, ids, me)[0].take(count, NOW, MONOTONIC)) for me in ids]
    assert sorted(number for share in shares for number in share) == list(range(count))


@pytest.mark.parametrize("workers", [2, 3, 5, 8])
def test_shares_are_even(workers: int) -> None:
    ids = [new_id() for _ in range(workers)]
    shares = Counter(rendezvous(new_id(), ids) for _ in range(1_000 * workers))
    assert all(700 < shares[worker] < 1_300 for worker in ids), shares  # nine standard deviations


def test_only_tasks_of_the_leaving_worker_move() -> None:
    ids = [new_id() for _ in range(5)]
    tasks = [new_id() for _ in range(500)]
    before = {task: rendezvous(task, ids) for task in tasks}
    after = {task: rendezvous(task, ids[1:]) for task in tasks}
    assert all(after[task] == before[task] for task in tasks if before[task] != ids[0])


def test_shares_are_per_partition() -> None:
    tasks = ReadyTasks()
    tasks.set_workers({0: "me", 1: "me"}, {1: among("me", "x", "y", "z")})
    for number in range(40):
        tasks.add(ready_task(number, partition=number % 2))
    mine = numbers(tasks.take(40, NOW, MONOTONIC))
    assert [number for number in mine if number % 2 == 0] == list(range(0, 40, 2))
    assert 0 < len([number for number in mine if number % 2]) < 20


def rendezvous(task: str, workers: list[str]) -> str:
    return next(worker for worker in workers if Rendezvous(worker, workers).place(task) == 0)


# -- theft -----------------------------------------------------------------------------------------------------------


def test_other_share_is_stolen_after_the_delay_from_its_end() -> None:
    tasks, made = shared(200, ["me", "you"], "me")
    mine = tasks.take(200, NOW, MONOTONIC)
    theirs = [task for task in made if all(task is not each for each in mine)]
    assert len(theirs) > 2 * STEAL_TASKS_MAX
    for task in mine:
        claim(task)
    assert tasks.take(200, NOW, MONOTONIC) == []
    assert tasks.steal_at() == LATER
    assert tasks.take(200, NOW, LATER - 0.001) == []

    stolen = tasks.take(200, NOW, LATER)

    assert numbers(stolen) == numbers(theirs)[::-1][:STEAL_TASKS_MAX]
    for task in theirs:
        claim(task)
    assert tasks.take(200, NOW, LATER) == [], "what was overdue as well is claimed by now"


def test_steal_delay_runs_per_task() -> None:
    tasks, _ = shared(60, ["me", "you"], "me")
    tasks.take(60, NOW, MONOTONIC)
    theirs = next(task for task in map(ready_task, range(100, 200)) if rendezvous(task.id, ["me", "you"]) == "you")
    tasks.add(theirs)
    assert theirs not in tasks.take(60, NOW, LATER)  # seen only now, whatever else is overdue
    assert theirs not in tasks.take(60, NOW, LATER + STEAL_DELAY_SECONDS / 2)
    assert theirs in tasks.take(60, NOW, LATER + STEAL_DELAY_SECONDS)


@pytest.mark.parametrize("selection", [Selection(), Selection(order="fair"), Selection(ageing_ms=1_000)])
def test_stealing_workers_come_one_after_the_other(selection: Selection) -> None:
    workers = ["a", "b", "c", "d"]
    task = ready_task(1)
    first_moments = []
    for worker in workers:
        tasks = ReadyTasks(selection=selection)
        tasks.set_workers({0: worker}, {0: among(*workers)})
        tasks.add(task)
        at_once = tasks.take(1, NOW, MONOTONIC)
        first_moments.append(MONOTONIC if at_once else tasks.steal_at())
    delays = sorted(moment - MONOTONIC for moment in first_moments if moment is not None)
    assert delays == pytest.approx([place * STEAL_DELAY_SECONDS for place in range(4)])


@pytest.mark.parametrize("change", ["the same workers", "another pause"])
def test_steal_delay_goes_on_while_shares_stay(change: str) -> None:
    tasks, _ = shared(60, ["me", "you"], "me")
    tasks.take(60, NOW, MONOTONIC)
    tasks.take(60, NOW, MONOTONIC)
    if change == "another pause":
        tasks.set_paused({0: {"elsewhere"}})
    else:
        tasks.set_workers({0: "me"}, {0: among("me", "you")})
    assert tasks.steal_at() == LATER
    assert tasks.take(60, NOW, LATER)


def test_tasks_taken_by_the_other_are_not_stolen() -> None:
    tasks, made = shared(20, ["me", "you"], "me")
    for task in tasks.take(20, NOW, MONOTONIC):
        claim(task)
    tasks.take(1, NOW, MONOTONIC)
    for task in made:
        claim(task)
    assert tasks.take(20, NOW, LATER) == []
    assert tasks.steal_at() is None
    assert tasks._entries == entries(tasks) == 0


def test_no_wakeup_is_set_when_all_is_stolen() -> None:
    tasks, made = shared(8, ["me", "you"], "me")
    for task in tasks.take(8, NOW, MONOTONIC):
        claim(task)
    tasks.take(8, NOW, MONOTONIC)
    for task in tasks.take(8, NOW, LATER):
        claim(task)
    assert all(task.state is State.CLAIMED for task in made)
    assert tasks.take(8, NOW, LATER) == []
    assert tasks.steal_at() is None


def test_longer_steal_delay_leaves_tasks_to_others_for_longer() -> None:
    tasks, made = shared(50, ["me", "you"], "me")
    tasks.steal_delay = 5 * STEAL_DELAY_SECONDS
    own = tasks.take(50, NOW, MONOTONIC)
    assert 0 < len(own) < len(made)
    assert tasks.take(50, NOW, MONOTONIC + 4 * STEAL_DELAY_SECONDS) == []
    assert tasks.take(50, NOW, MONOTONIC + 5 * STEAL_DELAY_SECONDS) != []


def test_worker_that_cannot_run_a_task_has_no_turn_at_it() -> None:
    workers = among("me", *"abcdefgh")
    for name in "abcd":
        workers[name].tasks = ("other",)
    for name in "efg":
        workers[name].queues = ("elsewhere",)
    workers["h"].tasks, workers["h"].more_tasks = ("other",), 5  # it may know it
    tasks = ReadyTasks()
    tasks.set_workers({0: "me"}, {0: workers})
    for number in range(200):
        tasks.add(ready_task(number))
        tasks.add(ready_task(1_000 + number, queue="elsewhere"))
    mine = numbers(tasks.take(400, NOW, MONOTONIC))
    here, there = [at for at in mine if at < 1_000], [at for at in mine if at >= 1_000]
    assert 70 < len(here) < 130, "shared with one"
    assert 20 < len(there) < 70, "shared with four"
    assert set(tasks._sharing.values()) == {("h", "me"), ("e", "f", "g", "h", "me")}
    while stolen := tasks.take(400, NOW, MONOTONIC + 1):
        mine += numbers(stolen)
    assert len(mine) == 400
    assert {name for _, name in tasks._passed} == set("efgh")


def test_turns_are_shared_anew_as_workers_join() -> None:
    tasks, _ = shared(1, ["me", "you"], "me")
    tasks.take(1, NOW, MONOTONIC)
    tasks.set_workers({0: "me"}, {0: among("me", "you", "she", "it")})
    for number in range(1, 401):
        tasks.add(ready_task(number))
    assert 60 < len(tasks.take(400, NOW, MONOTONIC)) < 140


def test_task_held_twice_by_a_pause_is_offered_once() -> None:
    tasks = alone()
    tasks.add(ready_task(0))
    for _ in range(2):
        tasks.set_paused({0: {"default"}})
        assert tasks.take(9, NOW, MONOTONIC) == []
        tasks.set_paused({0: set()})
    assert numbers(tasks.take(9, NOW, MONOTONIC)) == [0]


def test_share_of_a_left_worker_is_available_at_once() -> None:
    tasks, made = shared(50, ["me", "you"], "me")
    tasks.set_workers({0: "me"}, {})
    assert numbers(tasks.take(50, NOW, MONOTONIC)) == numbers(made)


def test_resharing_loses_nothing_and_keeps_the_order() -> None:
    tasks, made = shared(50, ["me"], "me")
    for others in (["me", "you"], ["me", "you", "she"], ["me", "she"], ["me"]):
        tasks.set_workers({0: "me"}, {0: among(*others)})
    assert numbers(tasks.take(50, NOW, MONOTONIC)) == numbers(made)


def test_log_order_of_ageing_tasks_survives_joins_and_leaves() -> None:
    tasks, made = shared(60, ["me", "you", "she"], "me")
    taken = tasks.take(4, NOW, MONOTONIC)  # the others' before them were reached too
    tasks.take(0, NOW, MONOTONIC)
    for task in taken:
        claim(task)
    for moment, others in enumerate((["me", "you"], ["me", "you", "it"], ["me", "she"]), 1):
        tasks.set_workers({0: "me"}, {0: among(*others)})
        (one,) = tasks.take(1, NOW, MONOTONIC + moment)
        claim(one)
    tasks.set_workers({0: "me"}, {})
    left = [task.submitted for task in made if task.state is State.READY]
    assert numbers(tasks.take(60, NOW, MONOTONIC + 4)) == left
    assert len(left) == 53


# -- memory ----------------------------------------------------------------------------------------------------------


def entries(tasks: ReadyTasks) -> int:
    return len(list(tasks._all_entries())) + tasks._delayed.entries


@pytest.mark.parametrize("delay", [0, 1_000_000])
def test_reader_that_never_takes_does_not_leak(delay: int) -> None:
    tasks = alone()
    for number in range(20_000):
        task = ready_task(number, due=NOW + delay + number if delay else 0)
        tasks.add(task)
        claim(task)
        if number % 100 == 0:
            tasks.sweep(living=1)
    assert entries(tasks) < 2_000


@pytest.mark.parametrize("where", ["level", "aside", "hold", "delay"])
@pytest.mark.parametrize(("count", "left"), [(7, 7), (8, 0)])
def test_sweep_drops_dead_entries_beyond_a_bound(
    where: str, count: int, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready_queue, "READY_SWEEP_ENTRIES", 3)
    tasks, made = alone(), list[TaskState]()
    for number in range(count):
        task = suspect(number) if where == "aside" else ready_task(number, due=NOW + 5 if where == "delay" else 0.0)
        tasks.add(task)
        if where in ("aside", "hold"):
            tasks.lets_suspect_in = False
            tasks.set_paused({0: {"default"} if where == "hold" else set()})
            assert tasks.take(9, NOW, MONOTONIC) == []
        made.append(task)
    for task in made:
        claim(task)
    tasks.sweep(living=2)
    assert [len(tasks._aside), len(tasks._on_hold), entries(tasks) - len(tasks._on_hold)] == {
        "aside": [left, 0, 0],
        "hold": [0, left, 0],
    }.get(where, [0, 0, left])


def test_kinds_of_tasks_are_remembered_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready_queue, "READY_KINDS_REMEMBERED", 3)
    tasks = ReadyTasks()
    tasks.set_workers({0: "me"}, {0: among("me", "you")})
    for number in range(10):
        tasks.add(ready_task(number, queue=f"q{number}"))
        tasks.take(1, NOW, MONOTONIC)
        assert 0 < len(tasks._sharing) <= 3


@pytest.mark.parametrize("delay", [0, 1_000_000])
def test_sweep_loses_no_ready_task(delay: int) -> None:
    tasks = alone()
    made = [ready_task(number, due=NOW + delay + number if delay else 0) for number in range(5_000)]
    for task in made:
        tasks.add(task)
    for task in made[50:]:
        claim(task)
    tasks.sweep(living=50)
    assert entries(tasks) == 50
    assert numbers(tasks.take(5_000, NOW + delay + 5_000, MONOTONIC)) == list(range(50))


# -- those who are not there -----------------------------------------------------------------------------------------


def sessions(**last: int) -> dict[int, dict[str, SessionState]]:
    return {0: {worker: SessionState(worker, 0, 1_000, "", 0, 0.0, at) for worker, at in last.items()}}


def turns_of(tasks: ReadyTasks, count: int, first: int) -> tuple[int, int]:
    """How many of so many new tasks are to be had at once, and how many only later."""
    for number in range(first, first + count):
        tasks.add(ready_task(number))
    at_once = tasks.take(count, NOW, MONOTONIC + 1)
    later = []
    while some := tasks.take(count, NOW, MONOTONIC + 2):
        later += some
    for task in [*at_once, *later]:
        claim(task)
    return len(at_once), len(later)


def test_silent_worker_has_no_turns_until_it_shows_up() -> None:
    tasks, ghosts = ReadyTasks(), [f"ghost{number}" for number in range(9)]
    tasks.set_workers({0: "me"}, {0: among("me", *ghosts)})
    seen = sessions(**dict.fromkeys(ghosts, 5))
    _, later = turns_of(tasks, 200, first=100)
    assert later > 100
    tasks.look_for_absent(seen)
    assert turns_of(tasks, 200, first=1_000) == (200, 0)

    seen[0]["ghost3"].last = 1_500  # a sign of life
    tasks.look_for_absent(seen)
    assert turns_of(tasks, 200, first=2_000)[1] > 50
    seen[0]["ghost3"].last = 2_300
    tasks.look_for_absent(seen)
    assert turns_of(tasks, 200, first=3_000)[1] > 50, "who took part since keeps its turns"


def test_busy_live_worker_keeps_its_turns() -> None:
    tasks = ReadyTasks()
    tasks.set_workers({0: "me"}, {0: among("me", "you")})
    assert turns_of(tasks, 100, first=100)[1] > 20
    tasks.look_for_absent(sessions(you=500))
    assert turns_of(tasks, 100, first=1_000)[1] > 20


@pytest.mark.parametrize(("before", "absent"), [(0, False), (1, True)])
def test_worker_that_made_the_task_ready_is_present(before: int, absent: bool) -> None:
    tasks = ReadyTasks()
    tasks.set_workers({0: "me"}, {0: among("me", "you")})
    turns_of(tasks, 100, first=100)
    tasks.look_for_absent(sessions(you=tasks._passed[0, "you"] - before))
    assert bool(tasks._absent) is absent


def test_left_worker_is_forgotten() -> None:
    tasks = ReadyTasks()
    tasks.set_workers({0: "me"}, {0: among("me", "you")})
    turns_of(tasks, 100, first=100)
    tasks.look_for_absent(sessions(you=5))
    tasks.set_workers({0: "me"}, {})
    tasks.look_for_absent({0: {}})
    assert (tasks._absent, tasks._passed) == ({}, {})
