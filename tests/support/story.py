"""Events of one partition for the fold, one after the other, each at the next offset, at a time that is named."""

from typing import Any

from journeyman.tasks import TaskView
from journeyman.tasks.state.decoding import FactContext
from journeyman.tasks.state.part_facts import _DECODERS
from journeyman.tasks.state.remembering import RememberingView
from journeyman.tasks.state.view import Verdict

LEASE_MS = 10_000


class Story:
    """Tells events of one partition to a view. Times are seconds; the story begins at 1,000."""

    def __init__(self, partition: int = 0, view: TaskView | None = None) -> None:
        self.view = view or RememberingView()
        self.partition = partition
        self.offset = -1
        self.verdict = Verdict.ACCEPTED

    def tell(self, name: str, at: float = 1_000.0, **context: Any) -> int:
        """One event; returns its offset."""
        self.offset += 1
        own = _DECODERS.get(name)
        said = (FactContext if own is None else type(own.empty))(**context)
        self.verdict = self.view.apply_fact(name, said, self.partition, self.offset, at)
        return self.offset

    def submitted(self, task: str, at: float = 1_000.0, **context: Any) -> int:
        context.setdefault("task_name", "send")
        context.setdefault("queue", "mail")
        return self.tell("task.submitted", at, task=task, **context)

    def joined(self, worker: str, at: float = 1_000.0, **context: Any) -> int:
        context.setdefault("tasks", ("send",))
        context.setdefault("slots", 2)
        return self.tell("worker.joined", at, worker=worker, host=f"host-{worker}", pid=7, lease_ms=LEASE_MS, **context)

    def claimed(self, task: str, worker: str, at: float = 1_000.0) -> int:
        return self.tell("task.claimed", at, task=task, worker=worker)
