"""The ready tasks of remote workers: their order, and what is held back. Pure."""

from collections.abc import Iterable
from typing import Any

from journeyman.service.remote.ready import ReadyTasks
from journeyman.tasks.state.decoding import FactContext
from journeyman.tasks.state.pauses import PausedQueue
from journeyman.tasks.state.state import SessionState
from journeyman.tasks.state.view import TaskView

LIMIT = 10


class Queue:
    """A view, filled by hand, and the ready tasks of it."""

    def __init__(self) -> None:
        self.view = TaskView()
        self.ready = ReadyTasks(self.view)
        self.view.on_ready = self.ready.add
        self.offset = 0

    def append(self, name: str, timestamp: float = 1.0, **context: Any) -> None:
        self.view.apply_fact(name, FactContext(**context), 0, self.offset, timestamp)
        self.offset += 1

    def submit(self, task: str, timestamp: float = 1.0, **context: Any) -> None:
        self.append("task.submitted", timestamp, task=task, **({"task_name": "add"} | context))

    def join(self, worker: str, **context: Any) -> SessionState:
        self.append("worker.joined", worker=worker, lease_ms=500, **context)
        session = self.view.session(0, worker)
        assert session is not None
        return session

    def take(self, session: SessionState, limit: int = LIMIT, now: float = 100.0) -> list[str]:
        return ids(self.ready.take({0: session}, limit, now).tasks)


def ids(tasks: Iterable[Any]) -> list[str]:
    return [task.id for task in tasks]


def test_tasks_are_taken_in_log_order() -> None:
    queue = Queue()
    session = queue.join("w", tasks=("add",))
    for task in "abc":
        queue.submit(task)
    assert queue.take(session, 2) == ["a", "b"]
    assert queue.take(session) == ["c"]


def test_lower_priority_is_taken_first() -> None:
    queue = Queue()
    session = queue.join("w", tasks=("add",))
    queue.submit("late", priority=5)
    queue.submit("soon", priority=1)
    assert queue.take(session) == ["soon", "late"]


def test_preferred_queue_is_taken_first() -> None:
    queue = Queue()
    session = queue.join("w", tasks=("add",), queues=("mail", "default"))
    queue.submit("first")
    queue.submit("preferred", queue="mail", priority=9)
    queue.submit("elsewhere", queue="other")
    assert queue.take(session) == ["preferred", "first"]


def test_longest_waiting_of_equal_kinds_is_first() -> None:
    queue = Queue()
    session = queue.join("w", tasks=("add", "mail"))
    queue.submit("second", 2.0)
    queue.submit("first", 1.0, task_name="mail")
    queue.submit("third", 3.0)
    assert queue.take(session) == ["first", "second", "third"]


def test_unknown_names_are_left_to_other_workers() -> None:
    queue = Queue()
    queue.submit("a", task_name="mail")
    assert queue.take(queue.join("w", tasks=("add",))) == []
    assert queue.take(queue.join("v", tasks=("mail",))) == ["a"]


def test_delayed_task_is_taken_once_it_is_due() -> None:
    queue = Queue()
    session = queue.join("w", tasks=("add",))
    queue.submit("a", due=50.0)
    assert queue.take(session, now=49.0) == []
    assert queue.ready.next_due() == 50.0
    assert queue.take(session, now=50.0) == ["a"]


def test_task_claimed_by_another_is_dropped() -> None:
    queue = Queue()
    session = queue.join("w", tasks=("add",))
    queue.submit("a")
    queue.append("task.claimed", task="a", worker="w")
    assert queue.take(session) == []


def test_paused_queue_is_held_back_until_it_is_resumed() -> None:
    queue = Queue()
    session = queue.join("w", tasks=("add",))
    queue.submit("a")
    queue.view.paused[0] = {"default": PausedQueue(0, 1.0)}
    taken = queue.ready.take({0: session}, LIMIT, 100.0)
    assert (taken.tasks, taken.held_back) == ([], True)
    queue.view.paused.clear()
    assert queue.take(session) == ["a"]


def test_worker_takes_one_suspect_at_a_time() -> None:
    queue = Queue()
    session = queue.join("w", tasks=("add",))
    for task in "abc":
        queue.submit(task)
    for worker in ("x", "y"):
        queue.join(worker, tasks=("add",))
        for task in "ab":
            queue.append("task.claimed", task=task, worker=worker)
        last = queue.view.session(0, worker)
        assert last is not None
        queue.append("worker.expired", worker=worker, last=last.last, by="w")
    assert set(queue.view.suspects) == {"a", "b"}
    assert queue.take(session) == ["a", "c"]
    queue.append("task.claimed", task="a", worker="w")
    assert queue.take(session) == []
    queue.append("task.succeeded", task="a", worker="w", claim=queue.offset - 1)
    assert queue.take(session) == ["b"]


def test_task_that_came_back_is_taken_once() -> None:
    queue = Queue()
    session = queue.join("w", tasks=("add",))
    queue.submit("a")
    queue.append("task.claimed", task="a", worker="w")
    queue.append("task.retried", task="a", worker="w", claim=queue.offset - 1)
    assert queue.take(session) == ["a"]


def test_put_back_tasks_are_the_first_again() -> None:
    queue = Queue()
    session = queue.join("w", tasks=("add",))
    for task in "abc":
        queue.submit(task)
    queue.ready.put_back(queue.ready.take({0: session}, 2, 100.0).tasks)
    assert queue.take(session) == ["a", "b", "c"]


def test_entries_stay_within_twice_the_living_tasks(monkeypatch: Any) -> None:
    monkeypatch.setattr("journeyman.service.remote.ready.READY_ENTRIES_SPARE", 5)
    queue = Queue()
    session = queue.join("w", tasks=("add",))
    for number in range(100):
        queue.submit(f"t{number}")
        queue.append("task.revoked", task=f"t{number}")
    queue.submit("alive")
    assert queue.ready._entries <= 2 * 1 + 5 + 1
    assert queue.take(session) == ["alive"]
