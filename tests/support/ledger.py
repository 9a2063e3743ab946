"""A log written by hand for the folds: each event takes the way through the real codec and gets the next offset."""

from typing import Any, Final

import msgspec
from journeyman.journal.event import Draft, Event, encode_context, place, record
from journeyman.journal.log import Page
from journeyman.tasks import TaskState, TaskView, Verdict
from journeyman.tasks.state import names
from journeyman.tasks.state.remembering import RememberingView
from journeyman.tasks.state.state import RunState


class Ledger:
    """Writes events of one partition into `view`, and remembers them as rows."""

    def __init__(self, view: TaskView | None = None, partition: int = 0, first: int = 0) -> None:
        self.view = view if view is not None else RememberingView()
        self.partition = partition
        self.first = first
        self.rows: list[bytes] = []
        self.events: list[Event] = []

    @property
    def end(self) -> int:
        """The offset the next event gets."""
        return self.first + len(self.rows)

    def write(self, name: str, /, **context: Any) -> Verdict:
        """Append an event and fold it; the verdict."""
        offset = self.end
        event, row = record(Draft(name, encode_context(name, context)), 1_800_000_000.0 + offset)
        self.rows.append(row)
        self.events.append(place(event, self.partition, offset))
        return self.view.apply(event)

    def submit(self, task: str, **context: Any) -> TaskState:
        """Submit a task; its state."""
        self.write(names.SUBMITTED, **{"task": task, "task_name": "work", **context})
        return self.task(task)

    def join(self, worker: str, lease_ms: int = 1_000) -> None:
        """Open a session."""
        self.write(names.JOINED, worker=worker, host="host", pid=1, lease_ms=lease_ms)

    def claim(self, task: str, worker: str) -> int:
        """Claim a task; the token, if it was accepted."""
        self.write(names.CLAIMED, task=task, worker=worker)
        return self.end - 1

    def end_attempt(self, name: str, task: str, worker: str, **context: Any) -> Verdict:
        """An outcome under the task's current claim."""
        return self.write(name, task=task, worker=worker, claim=self.task(task).claim, **context)

    def expire(self, worker: str, by: str = "watcher") -> Verdict:
        """Expire a session as of its last event."""
        session = self.view.session(self.partition, worker)
        return self.write(names.EXPIRED, worker=worker, last=session.last if session else -1, by=by)

    def task(self, task: str) -> TaskState:
        """The state of a task that must be there."""
        state = self.view.find(task)
        assert state is not None, f"the view knows no task {task!r}"
        return state

    def page(self) -> Page:
        """All rows as one page."""
        return Page(self.partition, range(self.first, self.end), self.rows)


def picture(view: TaskView, *, counters: bool = True) -> dict[str, Any]:
    """All that a view knows, as plain data, so that two views can be compared."""
    rooms = {"live": view.live, "dead": view.dead}
    seen: dict[str, Any] = {name: {id_: _facts(task) for id_, task in room.items()} for name, room in rooms.items()}
    seen["sessions"] = {
        (session.partition, session.worker): {**msgspec.structs.asdict(session), "claims": sorted(session.claims)}
        for session in view.all_sessions()
    }
    seen["suspects"] = sorted(view.suspects)
    seen["paused"] = {place: dict(queues) for place, queues in view.paused.items() if queues}
    seen["locks"] = {place: dict(locks) for place, locks in view.locks.items()}
    seen["expiries"] = dict(view.expiries)
    seen["amendments"] = dict(view.amendments)
    seen["ended"] = {partition: dict(ended.ends) for partition, ended in view._ended.items()}
    if counters:
        seen["counters"] = (view.stale_outcomes, view.lost_claims, view.takeovers, view.unreadable)
        seen["totals"] = (view.submitted, view.succeeded, view.failed, view.revoked)
    return seen


def _facts(task: TaskState) -> dict[str, Any]:
    return {name: getattr(task, name) for name in _FACTS}


_FACTS: Final = (
    *("id", "name", "queue", "priority", "max_retries", "partition", "submitted", "submitted_at", "due"),
    *(field.name for field in msgspec.structs.fields(RunState)),
)
