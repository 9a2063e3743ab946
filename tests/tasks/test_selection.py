"""The tasks that a worker claims, and their order: queues, tasks in them, turns, ageing."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from journeyman.journal.log import Page
from journeyman.tasks import State, TaskState, TaskView, ValidationError
from journeyman.tasks.state.identity import Accepts
from journeyman.tasks.state.selection import Selection, rank_in, selection_of
from journeyman.workers import Settings
from journeyman.workers.limits import STEAL_DELAY_SECONDS, STEAL_TASKS_MAX
from journeyman.workers.loop.registration import joining
from journeyman.workers.scheduling.ready_queue import ReadyTasks
from journeyman.workers.scheduling.round_robin import RoundRobin
from support.shop import among
from support.states import waiting_task

NOW, MONOTONIC = 1_800_000_000.0, 50.0


def task(
    number: int, name: str = "work", queue: str = "a", priority: int = 0, at: float = 0.0, due: float = 0.0
) -> TaskState:
    return waiting_task(f"t{number}", number, NOW + at, due, name=name, queue=queue, priority=priority)


def ready(selection: Selection, *tasks: TaskState) -> ReadyTasks:
    made = ReadyTasks(selection=selection)
    made.set_workers({0: "me"}, {})
    for each in tasks:
        made.add(each)
    return made


def drained(tasks: ReadyTasks, step: int = 1, now: float = NOW + 1e6) -> list[int]:
    """The numbers of all tasks, in the order in which they are claimed, so many at a time."""
    taken: list[int] = []
    while some := tasks.take(step, now, MONOTONIC):
        assert len(some) <= step
        for each in some:
            each.touched().state = State.CLAIMED
        taken += [each.submitted for each in some]
    return taken


# -- which -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("queues", "queue", "name", "served"),
    [
        (None, "a", "send", True),
        (["a", "b"], "b", "send", True),
        (["a", "b"], "c", "send", False),
        (["a"], "a_other", "send", False),
        (["mail.out"], "mail", "send", False),
        ({"a": ["send"], "b": None}, "a", "send", True),
        ({"a": ["send"], "b": None}, "a", "send2", False),
        ({"a": ["send2"], "b": None}, "a", "send", False),
        ({"a": ["send"], "b": None}, "b", "whatever", True),
        ({"a": ["send"], "b": None}, "c", "send", False),
    ],
)
def test_queues_and_tasks_are_matched_by_their_exact_names(queues: Any, queue: str, name: str, served: bool) -> None:
    selection = Settings(queues=queues).selection
    assert selection.serves(queue, name) is served
    assert bool(drained(ready(selection, task(0, name, queue)))) is served


def test_rank_is_the_place_in_the_order_of_preference() -> None:
    ranks = Settings(queues={"b": None, "a": ["send", "read"], "c": None}).selection.ranks()
    ranked = [("b", "any"), ("a", "send"), ("a", "read"), ("c", "any")]
    assert [rank_in(ranks, queue, task) for queue, task in ranked] == [0, 1, 2, 3]
    assert rank_in(None, "c", "any") == 0


@pytest.mark.parametrize("step", [1, 2, 10])
def test_subset_orders_queues_and_their_tasks_by_preference(step: int) -> None:
    selection = Settings(queues={"b": ["z", "y"], "a": None}).selection
    waiting = [
        task(0, "x", "a", priority=0),
        task(1, "y", "b", priority=0),
        task(2, "z", "b", priority=5),
        task(3, "z", "b", priority=1),
        task(4, "other", "b"),
        task(5, "y", "b", priority=0),
    ]
    assert drained(ready(selection, *waiting), step) == [3, 2, 1, 5, 0]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"queues": []}, "at least one"),
        ({"queues": ["a", "a"]}, "different names"),
        ({"queues": "mail"}, "different names"),
        ({"queues": [""]}, "different names"),
        ({"queues": {"a": []}}, "narrowed"),
        ({"queues": {"a": "send"}}, "narrowed"),
        ({"queues": {"a": ["send", "send"]}}, "narrowed"),
        ({"queue_order": "random"}, "one of strict, fair"),
        ({"queue_weights": {"a": 2}}, "queue_order='fair'"),
        ({"queue_order": "fair", "queue_weights": {"a": 0}}, "weighs from 1"),
        ({"queue_order": "fair", "queues": ["a"], "queue_weights": {"b": 2}}, "not among the queues"),
        ({"priority_ageing_ms": 0}, "priority_ageing_ms must be from 1"),
        ({"thread_processes": -1}, "thread_processes must be from 0"),
    ],
)
def test_senseless_settings_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Settings(**wrong)


# -- turns -----------------------------------------------------------------------------------------------------------


def test_strict_order_drains_preferred_queues_first() -> None:
    waiting = [task(n, queue="a") for n in range(3)] + [task(n, queue="b") for n in range(3, 6)]
    assert drained(ready(Selection(("b", "a")), *waiting)) == [3, 4, 5, 0, 1, 2]


@pytest.mark.parametrize("step", [1, 2, 3, 100])
def test_fair_order_alternates_queues_at_any_claim_size(step: int) -> None:
    waiting = [task(n, queue="a") for n in range(5)] + [task(n, queue="b") for n in range(5, 8)]
    selection = Selection(("a", "b"), order="fair")
    assert drained(ready(selection, *waiting), step) == [0, 5, 1, 6, 2, 7, 3, 4]


@pytest.mark.parametrize("step", [1, 2, 3, 100])
def test_queue_is_served_by_its_weight(step: int) -> None:
    waiting = [task(n, queue="a") for n in range(6)] + [task(n, queue="b") for n in range(6, 9)]
    selection = Selection(("a", "b"), order="fair", weights={"a": 2})
    assert drained(ready(selection, *waiting), step) == [0, 1, 6, 2, 3, 7, 4, 5, 8]


def test_unlisted_queues_alternate_and_empty_ones_are_forgotten() -> None:
    tasks = ready(Selection(order="fair"))
    for round_ in range(3):
        for number in range(600):
            tasks.add(task(number, queue=f"q{number % 200}-{round_}"))
        taken = drained(tasks, step=7)
        assert sorted(taken) == list(range(600))
        for first in range(0, 600, 200):
            assert {number % 200 for number in taken[first : first + 200]} == set(range(200))
    assert tasks.take(1, NOW, MONOTONIC) == []
    assert not tasks._levels
    assert not tasks._orders
    assert tasks._turns is not None
    assert not len(tasks._turns)


def test_priority_counts_only_within_a_queue() -> None:
    waiting = [task(0, queue="a", priority=9), task(1, queue="a", priority=1), task(2, queue="b", priority=0)]
    assert drained(ready(Selection(order="fair"), *waiting)) == [1, 2, 0]


@given(st.lists(st.sampled_from("abc"), max_size=60), st.integers(1, 9), st.integers(1, 3), st.integers(1, 3))
@given_settings(max_examples=60, deadline=None)
def test_busy_queues_are_served_by_weight(queues: list[str], step: int, a: int, b: int) -> None:
    selection = Selection(order="fair", weights={"a": a, "b": b})
    taken = drained(ready(selection, *(task(n, queue=queue) for n, queue in enumerate(queues))), step)
    assert sorted(taken) == list(range(len(queues)))
    got = [queues[number] for number in taken]
    both = min(max((index for index, queue in enumerate(got) if queue == each), default=-1) for each in "ab")
    for end in range(both + 1):
        shares = [got[:end].count("a") / a, got[:end].count("b") / b]
        assert abs(shares[0] - shares[1]) <= 1, "neither is ahead by more than its turn"


def test_round_robin_goes_round() -> None:
    turns = RoundRobin({"b": 2})
    turns.add("a")
    turns.add("b")
    assert turns.current() == ("a", 1)
    turns.used(1, empty=False)
    assert turns.current() == ("b", 2)
    turns.used(1, empty=False)
    assert turns.current() == ("b", 1)
    turns.used(0, empty=True)
    assert turns.current() == ("a", 1)
    turns.remove("a")
    assert turns.current() == ("b", 2)


# -- ageing ----------------------------------------------------------------------------------------------------------

AGEING = Selection(ageing_ms=10_000)


def test_priority_is_strict_without_ageing() -> None:
    assert drained(ready(Selection(), task(0, priority=1, at=0), task(1, priority=0, at=1e5))) == [1, 0]


@pytest.mark.parametrize(
    ("priority", "later", "order"),
    [
        (1, 9.9, [1, 0]),
        (1, 10.1, [0, 1]),
        (3, 29.0, [1, 0]),
        (3, 31.0, [0, 1]),
    ],
)
def test_task_gains_a_step_for_each_period_of_waiting(priority: int, later: float, order: list[int]) -> None:
    waiting = [task(0, priority=priority, at=0), task(1, priority=0, at=later)]
    assert drained(ready(AGEING, *waiting), 2) == order
    waiting = [task(0, priority=priority, at=0), task(1, priority=0, at=later)]
    assert drained(ready(AGEING, *waiting), 1) == order


def test_waiting_begins_when_a_delay_is_over() -> None:
    waiting = [task(0, priority=1, at=0, due=NOW + 100), task(1, priority=0, at=95)]
    assert drained(ready(AGEING, *waiting), 2) == [1, 0]


def test_preference_of_queues_is_not_aged() -> None:
    selection = Selection(("b", "a"), ageing_ms=1)
    assert drained(ready(selection, task(0, queue="a", at=-1e6), task(1, queue="b", priority=9))) == [1, 0]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30)), max_size=40), st.integers(1, 7), st.booleans())
@given_settings(max_examples=100, deadline=None)
def test_ageing_order_does_not_depend_on_the_time(items: list[tuple[int, int]], step: int, fair: bool) -> None:
    moments = [0]
    for _, later in items:
        moments.append(moments[-1] + later)
    made = [task(n, priority=priority, at=moments[n]) for n, (priority, _) in enumerate(items)]
    selection = Selection(ageing_ms=10_000, order="fair" if fair else "strict")
    taken = drained(ready(selection, *made), step)
    expected = sorted(made, key=lambda each: (each.submitted_at + 10 * each.priority, each.priority))
    assert taken == [each.submitted for each in expected]
    assert all(
        selection.stands(a.priority, a.submitted_at) <= selection.stands(b.priority, b.submitted_at)
        for a, b in pairwise(expected)
    )


def test_lowest_priority_task_is_not_starved() -> None:
    tasks, taken = ready(AGEING, task(0, priority=5)), []
    for number in range(1, 200):  # a stream of better ones, each second one, as fast as they are run
        tasks.add(task(number, priority=0, at=number))
        (one,) = tasks.take(1, NOW + number, MONOTONIC)
        one.touched().state = State.CLAIMED
        taken.append(one.submitted)
    assert taken.index(0) == 50


# -- with others -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "selection", [Selection(), Selection(order="fair"), AGEING, Selection(order="fair", ageing_ms=5)]
)
def test_stealing_leaves_nothing_and_takes_little_at_a_time(selection: Selection) -> None:
    tasks = ReadyTasks(selection=selection)
    tasks.set_workers({0: "me"}, {0: among("me", "you")})
    made = [task(number, queue="ab"[number % 2], priority=number % 3) for number in range(300)]
    for each in made:
        tasks.add(each)
    own = drained(tasks, 300)
    assert 50 < len(own) < 250, "the share of the other is left alone"
    late = MONOTONIC + STEAL_DELAY_SECONDS + 0.001
    stolen = tasks.take(300, NOW, late)
    assert 0 < len(stolen) <= 6 * STEAL_TASKS_MAX
    while stolen:
        for each in stolen:
            each.touched().state = State.CLAIMED
        stolen = tasks.take(300, NOW, late)
    assert all(each.state is State.CLAIMED for each in made)


@pytest.mark.parametrize("selection", [Selection(), Selection(order="fair"), AGEING])
def test_tasks_taken_by_others_are_passed_over(selection: Selection) -> None:
    made = [task(number, priority=number % 2) for number in range(20)]
    tasks = ready(selection, *made)
    for each in made[::3]:
        each.touched().state = State.CLAIMED
    assert sorted(drained(tasks, 4)) == [number for number in range(20) if number % 3]
    assert tasks._entries == 0


@pytest.mark.parametrize("selection", [Selection(), Selection(order="fair"), AGEING])
def test_clock_stepping_back_loses_no_task(selection: Selection) -> None:
    tasks = ready(selection, task(0), task(1, due=NOW + 60))
    assert [each.submitted for each in tasks.take(1, NOW + 3_600, MONOTONIC)] == [0]
    assert tasks.take(1, NOW, MONOTONIC) == []
    assert tasks.next_due() == NOW + 60
    assert [each.submitted for each in tasks.take(1, NOW + 61, MONOTONIC)] == [1]


# -- what is said ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(queues=["b", "a"]),
        Settings(queues={"a": ["send"], "b": None}, priority_ageing_ms=60_000),
        Settings(queue_order="fair", queue_weights={"a": 3}),
    ],
)
def test_worker_announces_its_selection(settings: Settings) -> None:
    fact, context = joining("w", 1_000, {"send": Accepts()}, settings.selection, 4)
    assert selection_of(fact.queues, fact.selection) == settings.selection
    assert (b"selection" in context) == (settings.selection.said() != {})


def test_announced_selection_survives_a_snapshot() -> None:
    view = TaskView()
    chosen = Selection(("a",), {"a": ("send",)}, "fair", {"a": 2}, 5_000)
    fact, context = joining("w", 1_000, {"send": Accepts()}, chosen, 4)
    row = b'{"name":"worker.joined","timestamp":1.0,"context":%b}' % context
    view.apply_page(Page(0, [0], [row]))
    again = TaskView()
    again.restore(view.snapshot())
    for session in (view.session(0, "w"), again.session(0, "w")):
        assert session is not None
        assert selection_of(session.queues, session.selection) == chosen == selection_of(fact.queues, fact.selection)
