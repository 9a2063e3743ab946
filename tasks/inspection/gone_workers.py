"""Read what the log still knows of workers that have gone: where they ran, what they served, and how they ended.

The state has forgotten them. The index has the positions of the beginning and end of each session, so a few records
are read.
"""

import contextlib
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from ...consumers.views.as_of import as_of
from ...journal.async_journal import AsyncJournal
from ...journal.errors import HistoryTruncated
from ...journal.row_decoder import RowDecoder
from ..index.entries import SessionRow
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


class WorkerEnd(msgspec.Struct, frozen=True):
    """How a worker has gone: `how` is left or expired, `at` the time in seconds since the epoch.

    `by` is the worker that has expired it, on the host `by_host` where that is known; with `by_service` it is no worker
    but a service, which watches over workers too.
    """

    how: str
    at: float
    by: str | None = None
    by_host: str | None = None
    by_service: bool = False


class GoneWorker(NamedTuple):
    """A worker that has gone: its line as it last was, without claims, and its end."""

    line: WorkerLine
    end: WorkerEnd


class _Session(NamedTuple):
    """The last session of a worker in a partition, its end, and its last sign of life in seconds since the epoch."""

    state: SessionState
    end: Fact
    sign: float
    by_service: bool


class _ExpiryContext(msgspec.Struct):
    service: bool = False


class _Expiry(msgspec.Struct):
    context: _ExpiryContext


_expiries: Final = RowDecoder(_Expiry)


async def gone_workers(journal: AsyncJournal, typed: str, until: Mapping[int, int]) -> list[GoneWorker]:
    """Return the workers that `typed`, an id or the end of one, stands for and that had gone before the cursor `until`.

    A worker that the state at that cursor has must not be asked for.
    """
    whole = await gone_worker(journal, typed, until)
    part = end_of_id(typed)
    if whole is not None or part is None:
        return [] if whole is None else [whole]
    found = [await gone_worker(journal, worker, until) for worker in await worker_ids_for(journal, part)]
    return [each for each in found if each is not None]


async def gone_worker(journal: AsyncJournal, worker: str, until: Mapping[int, int]) -> GoneWorker | None:
    """Return the worker of that id that had gone before the cursor `until`; None if the log knows none."""
    log = await journal.open()
    sessions: list[_Session] = []
    for partition in range(log.partitions):
        snapshot = await task_index(journal).snapshot(partition, worker=worker)
        ended = [row for row in snapshot.sessions_of(worker) if snapshot.first <= row.ended < until.get(partition, 0)]
        last = await _read_session(journal, ended[-1]) if ended else None
        if last is not None:
            sessions.append(last)
    if not sessions:
        return None
    last = max(sessions, key=lambda session: session.end.timestamp)
    line = worker_line([each.state for each in sessions], last.end.timestamp, max(each.sign for each in sessions))
    return GoneWorker(line, await _end(journal, last))


async def _read_session(journal: AsyncJournal, row: SessionRow) -> _Session | None:
    """Read a session that has ended; None if retention has removed what it was, or it is of an id with the same key."""
    log = await journal.open()
    rows = await rows_at(log, row.partition, [each for each in (row.joined, row.ended) if each >= 0])
    end = fact(rows[row.ended]) if row.ended in rows else None
    if end is None or end.context.worker != row.worker:
        return None
    joined = fact(rows[row.joined]) if row.joined in rows else None
    if joined is not None:
        state: SessionState | None = session_of(joined.context, row.partition, row.joined, joined.timestamp)
    else:
        state = await _session_where_log_begins(journal, row)
    if state is None:
        return None
    sign = end.context.last if end.name == names.EXPIRED else row.ended
    record = (await rows_at(log, row.partition, [sign])).get(sign)
    said = fact(record) if record is not None else None
    expiry = _expiries.read(rows[row.ended])
    by_service = expiry is not None and expiry.context.service
    return _Session(state, end, said.timestamp if said is not None else state.joined_at, by_service)


async def _session_where_log_begins(journal: AsyncJournal, row: SessionRow) -> SessionState | None:
    """Return a session that was live before the oldest event that the log holds; None if no snapshot has it."""
    log = await journal.open()
    with contextlib.suppress(HistoryTruncated):
        state = (await as_of(journal, TaskView, (await log.bounds()).first)).session(row.partition, row.worker)
        if state is not None:
            state.claims = {}  # as of its end
            return state
    return None


async def _end(journal: AsyncJournal, session: _Session) -> WorkerEnd:
    name, context, timestamp = session.end.name, session.end.context, session.end.timestamp
    if name == names.LEFT:
        return WorkerEnd("left", timestamp)
    if not context.by:
        return WorkerEnd("expired", timestamp)
    if session.by_service:
        return WorkerEnd("expired", timestamp, context.by, by_service=True)
    snapshot = await task_index(journal).snapshot(session.state.partition, worker=context.by)
    hosts = await hosts_of(await journal.open(), snapshot, [context.by])
    return WorkerEnd("expired", timestamp, context.by, hosts.get(context.by))
