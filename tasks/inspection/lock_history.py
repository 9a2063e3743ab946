"""Read the history of one lock from the journal: its requests, grants, ends and refused events.

The events of a lock have its name as their key, so only their partition is read, and of that only the records about
locks are decoded.
"""

from collections.abc import Mapping
from typing import NamedTuple

from ...consumers.views.as_of import as_of
from ...journal.async_journal import AsyncJournal
from ...journal.event import Event
from ...journal.event_decoding import readable
from ...journal.limits import PAGE_EVENTS
from ...journal.log import Log, Page
from ..state import names
from ..state.locks import LockContext, Locks, Requests
from ..state.part_facts import read_context
from ..state.verdict import Verdict
from ..state.view import TaskView

_MARK = b'"lock.'


class LockStep(NamedTuple):
    """One event of a lock, the verdict on it, and why it was refused.

    `owner` is that of its request, empty if it is unknown; `granted` are the owners that the event granted the lock.
    """

    event: Event
    verdict: Verdict
    owner: str
    granted: tuple[str, ...]
    reason: str


class LockHistory(NamedTuple):
    """A lock: its live requests, and its steps in log order, without accepted renewals, which `renewals` counts.

    With `is_truncated` retention has removed older steps.
    """

    requests: Requests
    steps: list[LockStep]
    renewals: int
    is_truncated: bool


async def lock_history(journal: AsyncJournal, lock: str, until: Mapping[int, int] | None = None) -> LockHistory:
    """Read the history of a lock, before the cursor `until` if one is given."""
    log = await journal.open()
    bounds = await log.bounds()
    partition = log.partition_of(lock)
    first, end = bounds.first[partition], (until or bounds.end).get(partition, 0)
    history = _History(lock, partition)
    if first:
        history.locks.replace((await as_of(journal, TaskView, bounds.first)).locks)
    await _read(log, history, first, end)
    return LockHistory(history.locks.requests(partition, lock), history.steps, history.renewals, first > 0)


async def _read(log: Log, history: "_History", begin: int, end: int) -> None:
    while begin < end:
        pages = await log.read({history.partition: begin}, min(PAGE_EVENTS, end - begin))
        if not pages:
            return
        history.take(pages[0])
        begin = pages[0].next_offset


class _History:
    """Folds the events of one lock, and keeps the steps."""

    def __init__(self, lock: str, partition: int) -> None:
        self.locks = Locks()
        self.steps: list[LockStep] = []
        self.renewals = 0
        self.partition = partition
        self._lock = lock
        self._owners: dict[int, str] = {}

    def take(self, page: Page) -> None:
        """Apply a page of records."""
        found = [place for place, row in enumerate(page.rows) if _MARK in row]
        rows, offsets = [page.rows[each] for each in found], [page.offsets[each] for each in found]
        for event in readable(rows, page.partition, offsets, contexts=True)[0]:
            if event.name in names.LOCK_EVENTS:
                context = read_context(event.name, event.context_json)
                if context.lock == self._lock:
                    self._apply(event, context)

    def _apply(self, event: Event, context: LockContext) -> None:
        before = self.locks.requests(self.partition, self._lock)
        self._owners.update({each.token: each.owner for each in before})
        verdict = self.locks.apply(event.name, context, self.partition, event.offset, event.timestamp)
        if verdict is Verdict.ACCEPTED and event.name == names.LOCK_RENEWED:
            self.renewals += 1
            return
        after = self.locks.requests(self.partition, self._lock)
        granted = tuple(each.owner for each in after if each.granted == event.offset)
        owner = context.owner or self._owners.get(context.token, "")
        reason = _refusal(event.name, context, before) if verdict is Verdict.REFUSED else ""
        self.steps.append(LockStep(event, verdict, owner, granted, reason))


def _refusal(name: str, context: LockContext, before: Requests) -> str:
    """Return why an event of that name was refused."""
    if name == names.LOCK_REQUESTED:
        return "the request is not valid: it lacks an owner, or its capacity, lease or ttl is not positive"
    request = next((each for each in before if each.token == context.token), None)
    if request is None:
        return f"no request of the token {context.token} was live"
    if name == names.LOCK_EXPIRED:
        return f"its owner had shown a sign of life since, at {request.last}"
    return "it was not granted yet"
