"""Relocate the events of tasks and workers to a journal with another number of partitions.

Tasks and workers refer to one another by position, and events that are decided together must share a partition. So each
task's events go to the partition of its key in the copy, the positions in them are translated, and a session is joined,
and ended, in each partition in which its worker has claimed. The fold of the original determines which events were
accepted, and the same ones are accepted in the copy: tasks that had ended have ended, and those that ran return when
their sessions expire. Checkpoints of consumers refer to the same events as before.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from ..consumers.checkpoints.records import CHECKPOINTED
from ..consumers.checkpoints.relocating import CheckpointRelocation
from ..consumers.files.importing import Placed
from ..consumers.files.lines import Line
from ..journal.cursor import Position
from .state import names
from .state.decoding import EventContext, FactContext
from .state.locks import LockContext
from .state.part_facts import read_context
from .state.routing import routing_key
from .state.view import TaskView, Verdict

_FOREIGN: Final = FactContext()
# A claim that no task has: an outcome that was refused in the original is refused again.
_NO_CLAIM: Final = -2
_ENDED: Final = frozenset({*names.OUTCOMES, *names.BY_HAND, names.REVOKED, names.PURGED, names.LAPSED})
_OVER: Final = frozenset({names.SUCCEEDED, names.ACKNOWLEDGED, names.REVOKED, names.PURGED, names.LAPSED})
_OWN: Final = frozenset((*names.TASK_EVENTS, *names.WORKER_EVENTS))


class Relocation:
    """Places the lines of a whole export, in their order, in an empty journal of so many partitions."""

    def __init__(self, partitions: int, partition_of: Callable[[str | None], int]) -> None:
        self._partition_of = partition_of
        self._view = TaskView()
        self._ends = dict.fromkeys(range(partitions), 0)
        self._checkpoints = CheckpointRelocation(partitions)
        self._origin = Position(0, 0)  # of the line that is being placed
        self._links: dict[str, int] = {}  # expected ones: where the claim of the predecessor stands
        self._claims: dict[str, tuple[int, int]] = {}  # of running tasks: where the claim stood, and where it stands
        self._submitted: dict[str, int] = {}  # of tasks that may be requeued: where the submission stands
        # Of live requests of locks, by partition, lock and token of the original: the token and the last event.
        self._requests: dict[tuple[int, str, int], tuple[int, int]] = {}
        self._joined: dict[tuple[int, str], Line] = {}  # the live sessions, by partition and worker of the original
        self._last: dict[tuple[int, str], int] = {}  # their last event, by partition and worker of the copy

    def place(self, line: Line) -> Iterator[Placed]:
        """Yield the events that a line becomes, each with its position; `ValueError` if the line has no position."""
        origin = line.place()
        if origin is None:
            raise ValueError(f"the event {line.name!r} lacks its position")
        self._origin = origin
        context = _decode(line)
        verdict = self._view.apply_fact(line.name, context, origin.partition, origin.offset, line.timestamp)
        accepted = verdict is Verdict.ACCEPTED
        said = _fact_of(context)
        if line.name in names.TASK_EVENTS:
            yield from self._place_task(line, said, origin, accepted=accepted)
        elif line.name in names.WORKER_EVENTS:
            yield from self._place_worker(line, said, origin, accepted=accepted)
        elif isinstance(context, LockContext) and context.lock:
            yield self._place_lock(line, context, origin, accepted=accepted)
        elif line.name in names.QUEUE_EVENTS and accepted:
            yield from self._place_everywhere(line, said, origin.partition)
        else:
            partition = self._partition_of(line.key) if line.key is not None else self._home(origin.partition)
            yield self._put(self._checkpoint(line, partition), partition, said, origin.partition)

    def _checkpoint(self, line: Line, partition: int) -> Line:
        """Return the line; the cursor of a consumer's checkpoint is translated to the same events in the copy."""
        if line.name != CHECKPOINTED or line.key is None:
            return line
        context = msgspec.json.decode(line.context)
        changes = self._checkpoints.translated(line.key, context, self._origin.partition, partition)
        return _changed(line, changes) if changes else line

    def _place_everywhere(self, line: Line, said: FactContext, source: int) -> Iterator[Placed]:
        """Place an event about a queue in each partition of the copy."""
        home = self._home(source)
        for partition in self._ends:
            shown = line if partition == home else _copied(line, partition, line)
            yield self._put(shown, partition, said, source)

    def _home(self, partition: int) -> int:
        """Return the partition in the copy for sessions and events without a key of a partition of the original."""
        return partition % len(self._ends)

    # -- tasks -------------------------------------------------------------------------------------------------------

    def _place_task(self, line: Line, said: FactContext, origin: Position, *, accepted: bool) -> Iterator[Placed]:
        partition = self._partition_of(line.key if line.key is not None else routing_key(said.task))
        changes: dict[str, Any] = {}
        if said.claim >= 0:
            old, new = self._claims.get(said.task, (-1, _NO_CLAIM))
            changes["claim"] = new if accepted and old == said.claim else _NO_CLAIM
        if said.after >= 0:  # of a refused link: a token that no success before it can have
            changes["after"] = self._links.pop(said.task) if accepted else self._ends[partition]
        if said.next and accepted:
            self._links[said.next] = changes["claim"]
        if said.submission is not None:
            changes["submission"] = {"offset": self._submitted.get(said.task, -1)}
        if line.name == names.CLAIMED and accepted:
            yield from self._join(line, partition, said.worker, origin.partition)
        placed = self._put(line, partition, said, origin.partition, changes)
        yield placed
        if accepted:
            self._note(line.name, said.task, origin.offset, placed.position.offset)

    def _note(self, name: str, task: str, old: int, new: int) -> None:
        if name == names.SUBMITTED:
            self._submitted[task] = new
        elif name == names.CLAIMED:
            self._claims[task] = (old, new)
        elif name in _ENDED:
            self._claims.pop(task, None)
            if name in _OVER:
                self._submitted.pop(task, None)

    # -- locks -------------------------------------------------------------------------------------------------------

    def _place_lock(self, line: Line, said: LockContext, origin: Position, *, accepted: bool) -> Placed:
        """Place an event about a lock, with the positions in it translated to those of the same request."""
        partition = self._partition_of(line.key if line.key is not None else said.lock)
        offset, asks = self._ends[partition], line.name == names.LOCK_REQUESTED
        request = (origin.partition, said.lock, origin.offset if asks else said.token)
        known = self._requests.get(request) if accepted else None
        token, last = known or (_NO_CLAIM, _NO_CLAIM)
        changes: dict[str, Any] = {} if asks else {"token": token}
        if line.name == names.LOCK_EXPIRED:
            changes["last"] = last
        if accepted and asks:
            self._requests[request] = (offset, offset)
        elif accepted and line.name == names.LOCK_RENEWED:
            self._requests[request] = (token, offset)
        elif accepted:
            self._requests.pop(request, None)
        return self._put(line, partition, _FOREIGN, origin.partition, changes)

    # -- sessions ----------------------------------------------------------------------------------------------------

    def _join(self, line: Line, partition: int, worker: str, source: int) -> Iterator[Placed]:
        """Join a session in one more partition before the claim in `line`, unless it is open there."""
        joined = self._joined.get((source, worker))
        if joined is not None and (partition, _renamed(worker, source)) not in self._last:
            yield self._put(_copied(joined, partition, line), partition, _fact_of(_decode(joined)), source)

    def _place_worker(self, line: Line, said: FactContext, origin: Position, *, accepted: bool) -> Iterator[Placed]:
        source, home = origin.partition, self._home(origin.partition)
        key = (source, said.worker)
        if line.name == names.JOINED and accepted:
            self._joined[key] = line
        ends = accepted and line.name in (names.LEFT, names.EXPIRED)
        renamed = _renamed(said.worker, source)
        elsewhere = [each for each in self._ends if each != home and (each, renamed) in self._last] if ends else []
        for partition in (home, *elsewhere):
            shown = line if partition == home else _copied(line, partition, line)
            last = self._last.get((partition, renamed), -1) if accepted else -1
            if accepted and said.by == said.worker:
                last = self._ends[partition]  # a worker that expires itself: its last event is this one
            changes = {"last": last} if line.name == names.EXPIRED else {}
            yield self._put(shown, partition, said, source, changes)
            if ends:
                self._last.pop((partition, renamed), None)
        if ends:
            self._joined.pop(key, None)

    # -- placing -----------------------------------------------------------------------------------------------------

    def _put(
        self, line: Line, partition: int, said: FactContext, source: int, changes: dict[str, Any] | None = None
    ) -> Placed:
        """Place an event at the end of a partition, with its workers renamed if needed."""
        offset = self._ends[partition]
        self._ends[partition] += 1
        self._checkpoints.note(self._origin, partition)
        own = line.name in _OWN
        worker, by = said.worker, said.by
        if own:
            worker, by = _renamed(worker, source), _renamed(by, source)
        self._sign(line.name, partition, worker, by, offset)
        changes = dict(changes or {})
        if own:
            changes |= {
                name: new for name, old, new in (("worker", said.worker, worker), ("by", said.by, by)) if new != old
            }
        if changes:
            line = _changed(line, changes)
            if line.name in names.WORKER_EVENTS and line.key == said.worker:
                line.key = worker
        return Placed(line, Position(partition, offset))

    def _sign(self, name: str, partition: int, worker: str, by: str, offset: int) -> None:
        """Record signs of life, as the fold does."""
        if name == names.JOINED:
            self._last.setdefault((partition, worker), offset)
        shown = by if name == names.EXPIRED else worker
        if (partition, shown) in self._last:
            self._last[partition, shown] = offset


def _fact_of(context: EventContext) -> FactContext:
    """Return the context of an event about a task or a session; an empty one for any other event."""
    return context if isinstance(context, FactContext) else _FOREIGN


def _decode(line: Line) -> EventContext:
    """Decode the context of an event for the fold; an empty one if it is unreadable."""
    try:
        context: EventContext = read_context(line.name, line.context)
    except msgspec.MsgspecError:
        return _FOREIGN
    return context


def _renamed(worker: str, source: int) -> str:
    """Return the worker's name in the copy: its sessions in two partitions of the original may share one there."""
    return f"{worker}.{source}" if worker and source else worker


def _copied(line: Line, partition: int, reason: Line) -> Line:
    """Return the same event for one more partition, with its own writer identity and the seq of its `reason`."""
    return msgspec.structs.replace(line, writer=f"{reason.writer}.{partition}", seq=reason.seq)


def _changed(line: Line, changes: dict[str, Any]) -> Line:
    context: dict[str, Any] = msgspec.json.decode(line.context)
    for name, value in changes.items():
        context[name] = {**context[name], **value} if isinstance(value, dict) else value
    return msgspec.structs.replace(line, context=msgspec.Raw(msgspec.json.encode(context)))
