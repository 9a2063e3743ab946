"""Read the evidence about a task that the state does not hold: the last error, refused events, signs of life."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ...journal.async_journal import AsyncJournal
from ...journal.errors import HistoryTruncated
from ...journal.event import Event
from ...journal.event_decoding import readable
from ...journal.log import Log
from ..errors import UnknownTaskError
from ..index.index import task_index
from ..index.reports import last_progress
from ..labels import Labels
from ..limits import TASK_TIMEOUT_MS_DEFAULT
from ..progress import reported_in
from ..state import names
from ..state.state import SessionState, TaskState
from ..state.transitions import State
from ..state.view import TaskView, Verdict
from .as_of import ViewAsOf
from .chain_reading import chain_of
from .findings import Evidence, LastChange, RefusedEvent
from .history import TaskHistory, hosts_of, task_history
from .known_workers import worker_in_words


async def gather(journal: AsyncJournal, view_as_of: ViewAsOf, task_id: str) -> Evidence:
    """Read the evidence about a task, as of the view.

    The history of the task is read only if needed: if events about it were refused, or if the state has forgotten it,
    as it forgets tasks that ended long ago.
    """
    log = await journal.open()
    view, cursor = view_as_of
    task = view.find(task_id)
    history = await _history(journal, task_id, cursor) if task is None or task.refused else None
    task = task or (history.task if history is not None else None)
    if task is None:
        chain = await chain_of(journal, task_id, until=cursor)
        worker = await worker_in_words(journal, task_id, cursor) if chain is None else ""
        return Evidence(chain=chain, worker=worker)
    change = await _last_change(log, task)
    hosts = dict(history.hosts) if history is not None else {}
    workers = {task.worker, str(change.context.get("worker", "")) if change is not None else ""} - hosts.keys() - {""}
    hosts |= await _hosts(journal, view_as_of, task, workers)
    signs = await last_signs(log, view.sessions.get(task.partition, {}).values())
    submission = await _event_at(log, task.partition, task.submitted)
    timeout = _timeout(submission) if task.state is State.CLAIMED else None
    pause = await pause_context(log, view, task.partition, task.queue) if task.state is State.READY else {}
    chained = submission is None or "callback_message_data" in submission.context
    chain = await chain_of(journal, task_id, until=cursor) if chained and task.state in _STOPS else None
    linked = submission.context.get("linked_lock") if submission is not None else None
    linked = linked if isinstance(linked, dict) else {}
    labels = Labels.of(submission.context if submission is not None else {})
    progress = reported_in(await last_progress(journal, task, cursor.get(task.partition)))
    return Evidence(task, change, _refusals(history), signs, hosts, timeout, pause, chain, linked, progress, labels)


# The states in which the links behind a task do not follow.
_STOPS: Final = (State.FAILED, State.REVOKED)


async def pause_context(log: Log, view: TaskView, partition: int, queue: str) -> Mapping[str, Any]:
    """Read the context of the event that paused a queue in a partition; empty if there is none, or it is gone."""
    pause = view.paused.get(partition, {}).get(queue)
    event = await _event_at(log, partition, pause.since) if pause is not None else None
    return event.context if event is not None else {}


async def last_signs(log: Log, sessions: Iterable[SessionState]) -> dict[str, float]:
    """Read each worker's last sign of life over its sessions, in seconds since the epoch by the worker's own clock."""
    signs: dict[str, float] = {}
    for session in sessions:
        event = await _event_at(log, session.partition, session.last)
        if event is not None:
            signs[session.worker] = max(signs.get(session.worker, 0.0), event.timestamp)
    return signs


async def _history(journal: AsyncJournal, task_id: str, until: Mapping[int, int]) -> TaskHistory | None:
    try:
        return await task_history(journal, task_id, until=until)
    except UnknownTaskError:
        return None


async def _last_change(log: Log, task: TaskState) -> LastChange | None:
    """Read the event that brought the task into its state."""
    event = await _event_at(log, task.partition, task.changed)
    if event is None:
        return None
    context = event.context
    return LastChange(event.name, context if event.name != names.SUBMITTED else {})


def _timeout(submission: Event | None) -> float | None:
    """Return the timeout that the submission of a task gives it, in ms; None if that is gone, or is no number."""
    timeout = submission.context.get("timeout", TASK_TIMEOUT_MS_DEFAULT) if submission is not None else None
    return timeout if isinstance(timeout, int | float) else None


async def _event_at(log: Log, partition: int, offset: int) -> Event | None:
    """Read the event at a position; None if retention has removed it, or there is none."""
    try:
        pages = await log.read({partition: offset}, 1)
    except HistoryTruncated:
        return None
    if not pages or pages[0].offsets[0] != offset:
        return None
    events, _ = readable(pages[0].rows[:1], partition, [offset], contexts=True)
    return events[0] if events else None


async def _hosts(journal: AsyncJournal, view_as_of: ViewAsOf, task: TaskState, workers: set[str]) -> dict[str, str]:
    """Read the hosts on which these workers run, or ran."""
    live = ((worker, view_as_of.view.session(task.partition, worker)) for worker in workers)
    hosts = {worker: session.host for worker, session in live if session is not None}
    if hosts.keys() >= workers:
        return hosts
    snapshot = await task_index(journal).snapshot(task.partition, task_id=task.id)
    return hosts | await hosts_of(await journal.open(), snapshot, workers - hosts.keys())


def _refusals(history: TaskHistory | None) -> tuple[RefusedEvent, ...]:
    if history is None:
        return ()
    return tuple(
        RefusedEvent(step.event.name, step.worker, step.event.timestamp, step.reason)
        for step in history.steps
        if step.verdict is Verdict.REFUSED
    )
