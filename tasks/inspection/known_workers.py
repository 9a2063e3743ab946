"""Read what the log knows of a worker, also of one that has gone: where it ran, what it served, and how it ended.

The state forgets a worker that has gone. The index holds the positions at which each session begins and ends, so only
a few records of the log are read.
"""

import contextlib
import math
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from ...consumers.views.as_of import as_of
from ...journal.async_journal import AsyncJournal
from ...journal.errors import HistoryTruncated
from ...journal.row_decoder import RowDecoder
from ..index.entries import NOWHERE, SessionRow
from ..index.index import task_index
from ..index.records import rows_at
from ..index.short_ids import end_of_id
from ..index.worker_ids import worker_ids_for
from ..state import names
from ..state.decoding import Fact, fact
from ..state.sessions import session_of
from ..state.state import SessionState
from ..state.view import TaskView
from .history import hosts_of
from .overview import WorkerLine, worker_line
from .wording import printable, short_id, when


class WorkerEnd(msgspec.Struct, frozen=True):
    """How a worker has gone: `how` is "left" or "expired", `at` is when, in seconds since the epoch.

    `by` is the id of the process that expired it: a worker, on the host `by_host` if that is known, or with
    `by_service` a service, which expires silent workers, too.
    """

    how: str
    at: float
    by: str | None = None
    by_host: str | None = None
    by_service: bool = False


class KnownWorker(NamedTuple):
    """A worker: `line` describes it as it last was, without claims; `end` is None if it has not gone."""

    line: WorkerLine
    end: WorkerEnd | None


class _Session(NamedTuple):
    """The last session of a worker in a partition; `end` is None while it lives.

    `sign` is the last sign of life before the end, in seconds since the epoch.
    """

    state: SessionState
    end: Fact | None = None
    sign: float = 0.0
    by_service: bool = False

    @property
    def ended_at(self) -> float:
        """When it ended, in seconds since the epoch; infinite while it lives."""
        return self.end.timestamp if self.end is not None else math.inf


class _ExpiryContext(msgspec.Struct):
    service: bool = False


class _Expiry(msgspec.Struct):
    context: _ExpiryContext


_expiries: Final = RowDecoder(_Expiry)


async def known_workers(journal: AsyncJournal, typed: str, until: Mapping[int, int]) -> list[KnownWorker]:
    """Return the workers that `typed`, an id or the end of one, stands for, as they were before the cursor `until`."""
    whole = await known_worker(journal, typed, until)
    part = end_of_id(typed)
    if whole is not None or part is None:
        return [] if whole is None else [whole]
    found = [await known_worker(journal, worker, until) for worker in await worker_ids_for(journal, part)]
    return [each for each in found if each is not None]


async def known_worker(journal: AsyncJournal, worker: str, until: Mapping[int, int]) -> KnownWorker | None:
    """Return the worker of that id as it was before the cursor `until`; None if the log knows none."""
    log = await journal.open()
    sessions: list[_Session] = []
    for partition in range(log.partitions):
        snapshot = await task_index(journal).snapshot(partition, worker=worker)
        rows = [row for row in snapshot.sessions_of(worker) if row.joined < until.get(partition, 0)]
        last = await _read_session(journal, rows[-1], until[partition]) if rows else None
        if last is not None:
            sessions.append(last)
    if not sessions:
        return None
    states, last = [session.state for session in sessions], max(sessions, key=lambda session: session.ended_at)
    if last.end is None:
        return KnownWorker(worker_line(states, 0.0, None), None)
    sign = max(session.sign for session in sessions)
    return KnownWorker(worker_line(states, last.ended_at, sign), await _end(journal, last, last.end))


async def _read_session(journal: AsyncJournal, row: SessionRow, until: int) -> _Session | None:
    """Read a session as it was before the offset `until`.

    None if retention has removed the record of its end, or that of its beginning and no snapshot has the session; or if
    the session belongs to another worker, whose id has the same key in the index.
    """
    log = await journal.open()
    ended = row.ended if row.ended < until else NOWHERE
    rows = await rows_at(log, row.partition, [each for each in (row.joined, ended) if each != NOWHERE])
    joined = fact(rows[row.joined]) if row.joined in rows else None
    end = fact(rows[ended]) if ended in rows else None
    if ended != NOWHERE and (end is None or end.context.worker != row.worker):
        return None
    if joined is not None:
        state: SessionState | None = session_of(joined.context, row.partition, row.joined, joined.timestamp)
    else:
        state = await _session_where_log_begins(journal, row)
    if state is None or state.worker != row.worker:
        return None
    if end is None:
        return _Session(state)
    sign = end.context.last if end.name == names.EXPIRED else ended
    record = (await rows_at(log, row.partition, [sign])).get(sign)
    said = fact(record) if record is not None else None
    expiry = _expiries.read(rows[ended])
    by_service = expiry is not None and expiry.context.service
    return _Session(state, end, said.timestamp if said is not None else state.joined_at, by_service)


async def _session_where_log_begins(journal: AsyncJournal, row: SessionRow) -> SessionState | None:
    """Return a session that began before the oldest event of the log and was live there; None if no snapshot has it."""
    log = await journal.open()
    with contextlib.suppress(HistoryTruncated):
        state = (await as_of(journal, TaskView, (await log.bounds()).first)).session(row.partition, row.worker)
        if state is not None:
            state.claims = {}  # the snapshot's claims are of an earlier moment than the caller's
            return state
    return None


async def _end(journal: AsyncJournal, session: _Session, end: Fact) -> WorkerEnd:
    name, context, timestamp = end.name, end.context, end.timestamp
    if name == names.LEFT:
        return WorkerEnd("left", timestamp)
    if not context.by:
        return WorkerEnd("expired", timestamp)
    if session.by_service:
        return WorkerEnd("expired", timestamp, context.by, by_service=True)
    snapshot = await task_index(journal).snapshot(session.state.partition, worker=context.by)
    hosts = await hosts_of(await journal.open(), snapshot, [context.by])
    return WorkerEnd("expired", timestamp, context.by, hosts.get(context.by))


async def worker_in_words(journal: AsyncJournal, typed: str, until: Mapping[int, int]) -> str:
    """Return a sentence about the worker whose id is `typed` or ends with it; empty unless it is exactly one."""
    found = await known_workers(journal, typed, until)
    if len(found) != 1:
        return ""
    line, end = found[0]
    ran = f"on {printable(line.host)} (pid {line.pid})"
    since = when(line.joined_at)
    if end is None:
        life = f"which has run {ran} since {since}"
    elif end.how == "left":
        life = f"which ran {ran} from {since} until {when(end.at)}, when it left"
    else:
        by = "a service" if end.by_service else f"worker {short_id(end.by or '?')}"
        host = f" on {printable(end.by_host)}" if end.by_host else ""
        life = f"which ran {ran} from {since} until {when(end.at)}, when it was expired by {by}{host}"
    return f"It is the id of a worker, {life}: `journeyman tail --key {line.worker}` shows its events."
