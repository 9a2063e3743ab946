"""Compute the state of one task by the rules of the fold, from its own events and the ends of its sessions.

The fold of a whole partition knows which sessions are live at each claim. Here the index provides that: it has read all
events of each session and decided its end as the fold does.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

import msgspec
import orjson

from ...consumers.views.as_of import as_of
from ...journal.async_journal import AsyncJournal
from ...journal.log import Log, Page
from ...journal.row_decoder import RowDecoder
from ..state import names
from ..state.decoding import Fact, fact
from ..state.remembering import RememberingView
from ..state.state import SessionState, TaskState
from ..state.transitions import State
from ..state.view import TaskView, Verdict
from .entries import FOREIGN, NOWHERE, PROGRESSED, SUBMITTED, IndexEntry, SessionRow
from .index import IndexSnapshot, task_index
from .records import rows_at

_ENDINGS: Final = (b'"worker.left"', b'"worker.expired"')
_JOINING: Final = b'"worker.joined"'
_ESCAPE: Final = b"\\u"

# Called before and after each event is applied, with the view, the event's offset, its record, its decoded fields, and
# the verdict, which is None before.
Observer = Callable[[TaskView, int, bytes, Fact, Verdict | None], None]


class Trace:
    """One task in the state after its events: `task` is None if none of them is its submission.

    `rows` are the records that were applied, and `verdicts` the verdicts on them, by offset. `unreadable` are the
    offsets of records of the task that were damaged after they were indexed.
    """

    def __init__(
        self,
        task_id: str,
        partition: int,
        sessions_of: Callable[[str], Sequence[SessionRow]],
        observer: Observer | None = None,
    ) -> None:
        self.id = task_id
        self.partition = partition
        self.view = RememberingView()
        self.rows: dict[int, bytes] = {}
        self.verdicts: dict[int, Verdict] = {}
        self.accepted: list[tuple[Fact, bytes]] = []  # the accepted ones of them, decoded, in order
        self.unreadable: list[int] = []
        # Whether the log has lost the task's submission and still holds later events of it.
        self.is_truncated = False
        self._sessions_of = sessions_of
        self._observer = observer
        self._joined: dict[str, int] = {}
        self._needle = orjson.dumps(task_id)[1:-1]

    @property
    def task(self) -> TaskState | None:
        """The task in its present state; None if there is none."""
        return self.view.find(self.id)

    @property
    def has_joined(self) -> bool:
        """Whether a session may have begun among the events that were followed."""
        return bool(self._joined)

    def apply(self, offset: int, row: bytes, said: Fact) -> None:
        """Apply the task's next event, or the end of a session that held it."""
        worker = said.context.worker
        if said.name == names.CLAIMED:
            self._set_session(worker, offset)
        elif said.name == names.EXPIRED and (session := self.view.session(self.partition, worker)) is not None:
            session.last = said.context.last  # as the index has decided that the expiry was accepted
        if self._observer is not None:
            self._observer(self.view, offset, row, said, None)
        verdict = self.view.apply_fact(said.name, said.context, self.partition, offset, said.timestamp)
        self.rows[offset], self.verdicts[offset] = row, verdict
        if verdict is Verdict.ACCEPTED:
            self.accepted.append((said, row))
        if self._observer is not None:
            self._observer(self.view, offset, row, said, verdict)

    def _set_session(self, worker: str, offset: int) -> None:
        """Give the view a session of the worker if one is live at `offset`; remove it otherwise."""
        sessions = self.view.sessions.setdefault(self.partition, {})
        if not any(row.lives_at(offset) for row in self._sessions_of(worker)) and worker not in self._joined:
            sessions.pop(worker, None)
        elif worker not in sessions:
            sessions[worker] = SessionState(worker, self.partition, 0, "", 0, 0.0, offset)

    def follow(self, page: Page) -> bool:
        """Apply the task's events of the next page; return False if the index has to be read.

        So it is if a session has ended, or if the task is the link of a chain and its predecessor has succeeded.
        """
        for offset, row in zip(page.offsets, page.rows, strict=True):
            if self._needle not in row and _JOINING not in row and _ESCAPE not in row:
                if any(ending in row for ending in _ENDINGS):
                    return False
                continue
            said = fact(row)
            if said is None:
                continue
            if said.name == names.JOINED:
                self._joined[said.context.worker] = offset
            elif said.name in (names.LEFT, names.EXPIRED):
                return False
            elif said.name == names.SUCCEEDED and said.context.next == self.id:
                return False  # whether it was accepted depends on the events of the predecessor
            elif said.name in names.TASK_EVENTS and said.context.task == self.id:
                self.apply(offset, row, said)
        return True


async def read_trace(
    log: Log,
    snapshot: IndexSnapshot,
    task_id: str,
    *,
    end: int | None = None,
    leave_out: Iterable[int] = (),
    observer: Observer | None = None,
    before: "Beginning | None" = None,
    journal: AsyncJournal | None = None,
    successes: dict[str, int] | None = None,
) -> Trace:
    """Return the trace of a task from the index and the log, up to the offset `end`, without the kinds `leave_out`.

    `journal` is needed for tasks that may be links of a chain: such a submission counts if the predecessor succeeded.
    `successes` are the claims of such successes by the ids of the links, kept by a caller that reads a whole chain.
    `before` is the task as it was where the log begins, if retention has removed its submission.
    """
    unwanted = frozenset(leave_out)
    entries = [entry for entry in snapshot.entries_of(task_id) if entry.partition == snapshot.partition]
    entries = [entry for entry in entries if entry.kind not in unwanted and (end is None or entry.offset < end)]
    submitted = next((entry.offset for entry in entries if entry.kind == SUBMITTED), NOWHERE)
    # Other programs' events under the task's key belong to it if they come after its submission.
    entries = [entry for entry in entries if entry.kind != FOREIGN or NOWHERE < submitted < entry.offset]
    trace = Trace(task_id, snapshot.partition, snapshot.sessions_of, observer)
    if before is not None:
        trace.view.begin_with(before.task, before.expiry)
    rows = await _rows_of(log, snapshot, entries)
    said = {entry.offset: _said_of(task_id, rows.get(entry.offset)) for entry in entries}
    found = {offset: each for offset, each in said.items() if each is not None}
    endings = [at for at in _endings(found, snapshot, end, before) if at not in found]
    for offset, row in (await rows_at(log, snapshot.partition, endings)).items():
        if (ending := fact(row)) is not None:
            rows[offset], found[offset] = row, ending
    if journal is not None and any(each.name == names.SUBMITTED and each.context.after >= 0 for each in found.values()):
        await _expect(journal, trace, found, rows, {} if successes is None else successes)
    for offset in sorted(found):
        trace.apply(offset, rows[offset], found[offset])
    trace.unreadable = [at for at, each in said.items() if each is None and at in rows and fact(rows[at]) is None]
    trace.is_truncated = trace.task is None and bool(found) and _lacks_submission(entries, snapshot)
    return trace


class _Predecessor(msgspec.Struct):
    previous_message_uuid: str = ""


class _Link(msgspec.Struct):
    context: _Predecessor


_links: Final = RowDecoder(_Link)


async def _expect(
    journal: AsyncJournal, trace: Trace, found: dict[int, Fact], rows: dict[int, bytes], successes: dict[str, int]
) -> None:
    """Tell the view of a link's trace by which claim its predecessor has succeeded, as the fold of all events knows."""
    for offset, said in sorted(found.items()):
        link = _links.read(rows[offset]) if said.name == names.SUBMITTED and said.context.after >= 0 else None
        if link is not None:
            if trace.id not in successes:
                claim = await _claim_of_success(
                    journal, trace, link.context.previous_message_uuid, successes, unknown=said.context.after
                )
                successes[trace.id] = claim
            trace.view.links.expect(trace.partition, trace.id, successes[trace.id])
            return


async def _claim_of_success(
    journal: AsyncJournal, trace: Trace, predecessor: str, successes: dict[str, int], *, unknown: int
) -> int:
    """Return the token with which the predecessor of a link has succeeded; `NOWHERE` if it has not.

    `unknown` is returned if retention has removed the predecessor's submission: no event tells otherwise.
    """
    log = await journal.open()
    snapshot = await task_index(journal).snapshot(trace.partition, task_id=predecessor)
    left_out = (PROGRESSED, FOREIGN)
    read = await read_trace(log, snapshot, predecessor, leave_out=left_out, journal=journal, successes=successes)
    task = read.task
    if task is None:
        return unknown if read.is_truncated or not snapshot.entries_of(predecessor) else NOWHERE
    said = fact(read.rows[task.changed]) if task.state is State.SUCCEEDED else None
    return said.context.claim if said is not None and said.context.next == trace.id else NOWHERE


async def _rows_of(log: Log, snapshot: IndexSnapshot, entries: Iterable[IndexEntry]) -> dict[int, bytes]:
    """Return the records of these events, without reading again those that the look-up has just read."""
    read = {entry.offset: snapshot.batch.row(entry.offset) for entry in entries}
    rows = {offset: row for offset, row in read.items() if row is not None}
    return rows | await rows_at(log, snapshot.partition, read.keys() - rows.keys())


class Beginning(NamedTuple):
    """A task as it was where the log begins, and when it lapses, in seconds since the epoch; 0 for never."""

    task: TaskState
    expiry: float = 0.0


async def task_where_log_begins(journal: AsyncJournal, task_id: str) -> Beginning | None:
    """Return the task as it was before the oldest event that the log holds; None if no snapshot of the queue has it."""
    log = await journal.open()
    view = await as_of(journal, TaskView, (await log.bounds()).first)
    task = view.find(task_id)
    return None if task is None else Beginning(task, view.expiries.get(task_id, 0.0))


def _said_of(task_id: str, row: bytes | None) -> Fact | None:
    """Decode a record, if it is about this task and not another one with the same key."""
    said = fact(row) if row is not None else None
    if said is not None and said.name in names.TASK_EVENTS and said.context.task != task_id:
        return None
    return said


def _endings(found: dict[int, Fact], snapshot: IndexSnapshot, end: int | None, before: Beginning | None) -> set[int]:
    """Return the offsets at which the sessions that have claimed the task ended."""
    claims: dict[str, int] = {}
    if before is not None and before.task.state is State.CLAIMED:
        claims[before.task.worker] = before.task.claim
    for offset, said in sorted(found.items()):
        if said.name == names.CLAIMED:
            claims.setdefault(said.context.worker, offset)
    return {
        row.ended
        for worker, offset in claims.items()
        for row in snapshot.sessions_of(worker)
        if row.ended != NOWHERE and row.ended > offset and (end is None or row.ended < end)
    }


def _lacks_submission(entries: Sequence[IndexEntry], snapshot: IndexSnapshot) -> bool:
    return snapshot.first > 0 and all(entry.kind != SUBMITTED for entry in entries)
