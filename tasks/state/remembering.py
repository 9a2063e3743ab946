"""A view that remembers how tasks have ended: for readers of a few tasks. Pure."""

from collections.abc import Callable
from typing import Any

from . import names
from .state import SessionState, TaskState
from .transitions import State
from .verdict import Verdict
from .view import TaskView


class RememberingView(TaskView):
    """The task view, and `finished`: the tasks that have succeeded or were revoked since this view began to read.

    The workers' own view forgets these. This one forgets none, so it is for readers that fold the events of few tasks.
    """

    def __init__(self, *, on_ready: Callable[[TaskState], None] | None = None) -> None:
        super().__init__(on_ready=on_ready, on_ended=self._remember)
        self.finished: dict[str, TaskState] = {}

    def find(self, task_id: str) -> TaskState | None:
        """The task of that id, alive or ended."""
        return super().find(task_id) or self.finished.get(task_id)

    def begin_with(self, task: TaskState, expiry: float = 0.0) -> None:
        """Add a task as it was before the first event that this view reads: live, or a dead letter.

        `expiry` is when it lapses, in seconds since the epoch; 0 for never.
        """
        place = task.partition
        if task.state is State.FAILED:
            self.dead.keep(task)
            return
        self.live[task.id] = task
        if expiry:
            self.expiries[task.id] = expiry
        if task.state is State.CLAIMED:
            session = SessionState(task.worker, place, 0, "", 0, 0.0, task.claim)
            session.claims[task.id] = task
            self.sessions.setdefault(place, {})[task.worker] = session

    def _remember(self, task: TaskState) -> None:
        self.finished[task.id] = task

    def _submit(self, context: Any, *where: Any) -> Verdict:
        verdict = super()._submit(context, *where)
        if verdict is Verdict.ACCEPTED:
            self.finished.pop(context.task, None)
        return verdict

    def _move_unknown(self, name: str, context: Any, *where: Any) -> Verdict:
        verdict = super()._move_unknown(name, context, *where)
        task = self.finished.get(context.task)
        if task is not None and verdict is Verdict.REFUSED:
            task.run.refused += 1
        elif task is not None and name == names.COLLECTED:
            task.run.collected = True
        elif task is not None and name == names.REQUEUED and verdict is Verdict.ACCEPTED:
            del self.finished[context.task]
        return verdict
