"""Delayed tasks: each is released when it is due, in order, once, whatever else happens to it meanwhile."""

from hypothesis import given
from hypothesis import strategies as st
from journeyman.tasks import State, TaskState
from journeyman.workers.scheduling.delayed import Delayed
from support.states import waiting_task

NOW = 1_800_000_000.0
moments = st.integers(0, 400).map(lambda seconds: NOW + seconds / 2)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), moments),
        st.tuples(st.just("release"), moments),
        st.tuples(st.just("end"), st.integers(0, 20)),
        st.tuples(st.just("retry"), st.tuples(st.integers(0, 20), moments)),
        st.tuples(st.just("sweep"), st.none()),
    ),
    max_size=60,
)


@given(steps)
def test_delayed_tasks_come_when_they_are_due(taken: list[tuple[str, object]]) -> None:
    delayed, made, waiting = Delayed(), list[TaskState](), dict[str, TaskState]()
    for kind, value in taken:
        if kind == "add" and isinstance(value, float):
            task = waiting_task(f"t{len(made)}", len(made), due=value)
            made.append(task)
            waiting[task.id] = task
            delayed.add(task)
        elif kind == "release" and isinstance(value, float):
            released = list(delayed.release(value))
            assert all(task.state is State.READY for task in released)
            due_now = {task.id for task in waiting.values() if task.due <= value}
            assert due_now <= {task.id for task in released}
            for task_id in due_now:
                del waiting[task_id]
        elif kind == "end" and isinstance(value, int) and value < len(made):
            made[value].touched().state = State.REVOKED
            waiting.pop(made[value].id, None)
        elif kind == "retry" and isinstance(value, tuple) and value[0] < len(made):
            task = made[value[0]]
            if task.state is State.READY and task.due != value[1]:
                task.due = value[1]
                waiting[task.id] = task
                delayed.add(task)
        elif kind == "sweep":
            delayed.sweep()
            assert delayed.entries <= len(waiting) + len(made)
        first = min((task.due for task in waiting.values()), default=None)
        due = delayed.next_due()
        assert first is None or (due is not None and due <= first), "nothing is slept through"


def test_releases_are_in_the_order_in_which_tasks_are_due() -> None:
    delayed = Delayed()
    for number, seconds in enumerate([300, 10, 130, 59.5, 60, 10]):
        delayed.add(waiting_task(f"t{number}", number, due=NOW + seconds))
    assert [task.id for task in delayed.release(NOW + 200)] == ["t1", "t5", "t3", "t4", "t2"]
    assert (delayed.next_due(), delayed.entries) == (NOW + 300, 1)


def test_tasks_no_longer_delayed_are_released() -> None:
    delayed, made = Delayed(), [waiting_task(f"t{number}", number, due=NOW + 100 * number) for number in range(5)]
    for task in made:
        delayed.add(task)
    for task in made[:3]:
        task.touched().state = State.REVOKED
    assert (delayed.next_due(), delayed.entries) == (NOW + 300, 2)
    for task in made[3:]:
        task.touched().state = State.REVOKED
    assert (delayed.next_due(), delayed.entries) == (None, 0)


def test_next_due_is_the_earliest_of_a_later_minute() -> None:
    delayed = Delayed()
    for number, seconds in enumerate((1_005, 1_002, 1_009)):
        delayed.add(waiting_task(f"t{number}", number, due=NOW + seconds))
    assert delayed.next_due() == NOW + 1_002


def test_task_that_ended_meanwhile_is_dropped_when_reached() -> None:
    delayed, made = Delayed(), [waiting_task(f"t{number}", number, due=NOW + number) for number in range(1, 5)]
    for task in made:
        delayed.add(task)
    assert not list(delayed.release(NOW))
    for task in (made[0], made[2]):
        task.touched().state = State.REVOKED
    assert (delayed.next_due(), delayed.entries) == (NOW + 2, 3)
    assert list(delayed.release(NOW + 3)) == [made[1]]
    assert (delayed.next_due(), delayed.entries) == (NOW + 4, 1)


def test_task_filed_under_two_minutes_waits_for_the_later() -> None:
    delayed, task = Delayed(), waiting_task("t", 0, due=NOW + 100)
    delayed.add(task)
    task.due = NOW + 1_000
    delayed.add(task)
    assert (delayed.next_due(), delayed.entries) == (NOW + 1_000, 1)
