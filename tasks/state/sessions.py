"""The live sessions of workers: a part of the state, partition by partition. Pure."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from ...journal.limits import KEY_CHARS_MAX
from . import names
from .decoding import FactContext
from .part import Part
from .state import SessionState, TaskState
from .verdict import Verdict

_EXPIRED: Final = names.EXPIRED
_decoder: Final = msgspec.msgpack.Decoder(list[dict[str, Any]])


def session_of(context: FactContext, partition: int, offset: int, timestamp: float) -> SessionState:
    """Return the session that a `worker.joined` with this context begins."""
    return SessionState(
        context.worker,
        partition,
        context.lease_ms,
        context.host,
        context.pid,
        timestamp,
        offset,
        context.tasks,
        context.more_tasks,
        context.queues,
        context.slots,
        context.selection,
        context.machine,
        context.accepts,
    )


class Sessions(Part[int, dict[str, SessionState], FactContext]):
    """The live sessions, by partition and worker.

    `on_end(session, name, offset, timestamp)` is called when an event has ended a session, to return its claims.
    """

    name = "sessions"
    events = names.WORKER_EVENTS
    context = FactContext

    def __init__(self, on_end: Callable[[SessionState, str, int, float], None]) -> None:
        super().__init__()
        self._on_end = on_end

    def of(self, partition: int, worker: str) -> SessionState | None:
        """The live session of a worker in a partition."""
        return self.get(partition, {}).get(worker)

    def all(self) -> Iterator[SessionState]:
        """Yield all live sessions, partition by partition."""
        for sessions in self.values():
            yield from sessions.values()

    def sign(self, partition: int, worker: str, offset: int) -> None:
        """Note that an event of the worker stands at `offset`: a sign of life, even a refused or a foreign one."""
        session = self.of(partition, worker)
        if session is not None:
            session.last = offset

    def apply(self, name: str, context: FactContext, partition: int, offset: int, timestamp: float) -> Verdict:
        """Apply an event about a session; `FOREIGN` if it names no worker."""
        worker = context.worker
        if not worker:
            return Verdict.FOREIGN
        if name == _EXPIRED:
            self.sign(partition, context.by, offset)
        session = self.of(partition, worker)
        if name == names.JOINED:
            return self._join(context, session, partition, offset, timestamp)
        if session is None or (name == _EXPIRED and session.last != context.last):
            return Verdict.REFUSED  # the session has ended, or has shown a sign of life that the observer had not seen
        if name != names.BEAT:
            self._end(session, name, offset, timestamp)
        return Verdict.ACCEPTED

    def _join(
        self, context: FactContext, session: SessionState | None, partition: int, offset: int, timestamp: float
    ) -> Verdict:
        if session is not None or len(context.worker) > KEY_CHARS_MAX:
            return Verdict.REFUSED
        self.setdefault(partition, {})[context.worker] = session_of(context, partition, offset, timestamp)
        return self.changed()

    def _end(self, session: SessionState, name: str, offset: int, timestamp: float) -> None:
        del self[session.partition][session.worker]
        self.changed()
        self._on_end(session, name, offset, timestamp)

    def dump(self) -> Any:
        """See `Part.dump`: the claims of each session by the tasks' ids, in the order of claiming."""
        return [{**msgspec.structs.asdict(session), "claims": list(session.claims)} for session in self.all()]

    def load(self, state: msgspec.Raw, live: Mapping[str, TaskState]) -> Mapping[int, dict[str, SessionState]]:
        """See `Part.load`."""
        sessions: dict[int, dict[str, SessionState]] = {}
        for said in _decoder.decode(state):
            session = msgspec.convert({**said, "claims": {}}, SessionState)
            session.claims = {id_: live[id_] for id_ in said["claims"]}
            sessions.setdefault(session.partition, {})[session.worker] = session
        return sessions
