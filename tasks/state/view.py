"""The state of the queue as a view: the fold of tasks and sessions, page by page, and its snapshots."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from ...consumers.views.view import View
from ...journal.event import Event
from ...journal.log import Page
from ..limits import DEAD_LETTERS_KEPT, ENDED_TASK_EVENTS
from . import names, older_snapshots, view_snapshot
from .dead_letters import DeadLetters
from .decoding import task_facts
from .fold import TaskFold
from .part_facts import part_fact, read_context
from .rows import KeptRows
from .transitions import State
from .verdict import Verdict

__all__ = ["TaskView", "Verdict"]

_SUBMITTED: Final = names.SUBMITTED
_MOVING: Final = frozenset(names.TASK_EVENTS) - {names.SUBMITTED}
_COUNTERS: Final = (
    "submitted",
    "succeeded",
    "revoked",
    "stale_outcomes",
    "lost_claims",
    "takeovers",
    "unreadable",
)


class TaskView(TaskFold, View):
    """The fold of the tasks, read from the log and from snapshots; see `TaskFold` for the arguments."""

    snapshot_name = "tasks"

    @property
    def snapshot_schema(self) -> str:
        """See `View.snapshot_schema`: the same as long as the same events lead to the same state."""
        return view_snapshot.schema_of(ENDED_TASK_EVENTS, DEAD_LETTERS_KEPT)

    @property
    def older_snapshot_schemas(self) -> Sequence[str]:
        """See `View.older_snapshot_schemas`."""
        return older_snapshots.SCHEMAS

    def snapshot(self) -> bytes:
        """See `View.snapshot`. Without the waiting tasks' submissions: they are in the log."""
        counters = {name: getattr(self, name) for name in _COUNTERS} | {"failed": self.failed}
        parts = {part.name: part.dump() for part in self._parts}
        return view_snapshot.dump(
            view_snapshot.SavedState(self.live, self.dead, self._ended, parts, counters, self.counted_since)
        )

    def restore(self, state: bytes) -> None:
        """See `View.restore`. None of the callbacks is called."""
        try:
            saved = view_snapshot.load(state, self._kind_of)
        except msgspec.ValidationError:
            saved = older_snapshots.load(state, self._kind_of)
        shares = [(part, saved.parts.get(part.name)) for part in self._parts]
        contents = [(part, {} if share is None else part.load(share, saved.live)) for part, share in shares]
        for part, content in contents:
            part.replace(content)
        for name in _COUNTERS:
            setattr(self, name, saved.counters[name])
        self.counted_since, self.rows = saved.counted_since, KeptRows()
        self.live = saved.live
        self.jobs.rebuild(saved.live.values())
        self.dead = DeadLetters(saved.dead.values(), saved.counters["failed"])
        self.suspects = {task.id: task for task in self.live.values() if task.run.suspect}
        self._ended = saved.ended

    def ids(self) -> Iterable[str]:
        """Yield the ids of all tasks that the view knows: live ones, dead letters, and recently ended ones."""
        yield from self.live
        yield from self.dead
        for ended in self._ended.values():
            yield from ended.ends

    def state_of(self, partition: int, task_id: str) -> State:
        """The state of a task; `UNKNOWN` also if the view has forgotten it."""
        task = self.live.get(task_id) or self.dead.get(task_id)
        if task is not None:
            return task.run.state
        ended = self._ended.get(partition)
        end = ended.end(task_id) if ended is not None else None
        return end[0] if end is not None else State.UNKNOWN

    def last_change(self, partition: int, task_id: str) -> int:
        """The offset of the last accepted event that has moved a task; -1 if the view does not know it."""
        task = self.live.get(task_id) or self.dead.get(task_id)
        if task is not None:
            return task.changed if task.partition == partition else -1
        ended = self._ended.get(partition)
        end = ended.end(task_id) if ended is not None else None
        return end[1] if end is not None else -1

    def is_paused(self, partition: int, queue: str) -> bool:
        """Return whether the queue is paused in that partition."""
        return queue in self.paused.get(partition, ())

    def apply(self, event: Event) -> Verdict:
        """Apply one event to the state, and return the verdict on it."""
        try:
            context = read_context(event.name, event.context_json)
        except msgspec.MsgspecError:
            self.unreadable += 1
            return Verdict.FOREIGN
        return self.apply_fact(event.name, context, event.partition, event.offset, event.timestamp)

    def apply_page(self, page: Page) -> None:
        """Apply a page of records to the state.

        An event of another program changes nothing, unless it is the sign of life of a session.
        """
        partition, offsets, rows = page
        submit, move_task, part_of = self._submit, self._move_task, self._part_of
        for offset, row, said in zip(offsets, rows, task_facts(rows), strict=True):
            if said is None:
                self.unreadable += 1
                continue
            name = said.name
            if name == _SUBMITTED:
                submit(said.context, partition, offset, said.timestamp, row)
            elif name in _MOVING:
                move_task(name, said.context, partition, offset, said.timestamp)
            elif name in part_of or self.sessions.get(partition):
                self._apply_other(row, partition, offset)

    def _apply_other(self, row: bytes, partition: int, offset: int) -> None:
        said = part_fact(row)
        if said is None:
            self.unreadable += 1
            return
        self._apply_to_part(said.name, said.context, partition, offset, said.timestamp)
