"""Expire silent workers, so that their tasks return to the queue although no other worker runs that would expire them.

The reference's scanner looks for statuses whose message is gone. Here a status is derived from the events, so there is
one thing that it can find: a task that is running by its events, and whose worker has fallen silent for its lease.
"""

import logging
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol, Self

import uuid_utils

from ..consumers.views.as_of import as_of
from ..journal.async_journal import AsyncJournal
from ..journal.errors import JournalError
from ..journal.event import Draft, encode_context
from .broker import Broker
from .errors import ValidationError
from .limits import SCAN_HOURS_DEFAULT
from .state import names
from .state.state import SessionState
from .state.view import TaskView
from .status import StatusTracker

logger = logging.getLogger("journeyman.scanner")


class Trigger(Protocol):
    """What the scanner needs of a trigger of apscheduler."""

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """Return the next time, after the previous one and not before `now`; None if there is none."""


class StatusTrackerIntegrityScanner:
    """Scans by a trigger of apscheduler, every hour by default, in a thread of its own, until `shutdown`.

    `status_tracker` names the journal; `broker` is accepted as in the reference and has to be on the same journal. The
    trigger may stand in its place, as in the reference's older signature. `ValidationError` for anything else.
    """

    def __init__(
        self,
        status_tracker: StatusTracker,
        broker: Broker | Trigger | None = None,
        trigger: Trigger | None = None,
    ) -> None:
        if not isinstance(status_tracker, StatusTracker):
            raise ValidationError(f"a scanner takes a StatusTracker, got {status_tracker!r:.80}")
        if trigger is None and hasattr(broker, "get_next_fire_time"):
            broker, trigger = None, broker
        if not isinstance(broker, Broker | None):
            raise ValidationError(f"broker is the Broker of the tasks, or None, got {broker!r:.80}")
        if trigger is not None and not hasattr(trigger, "get_next_fire_time"):
            raise ValidationError(
                f"trigger is one of apscheduler's, such as IntervalTrigger(hours=1), got {trigger!r:.80}"
            )
        if broker is not None and broker.journal.url != status_tracker.journal.url:
            raise ValidationError(
                f"the broker is on {broker.journal.url}, the tracker on {status_tracker.journal.url}: a scanner is "
                "of one journal"
            )
        self.status_tracker, self.broker = status_tracker, broker
        self.trigger = trigger if trigger is not None else _hourly()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._scan_by_trigger, name="journeyman-scanner", daemon=True)
        self._thread.start()

    def scan(self) -> list[str]:
        """Return the tasks of silent workers to the queue, an attempt counted, and return their ids.

        It takes as long as the longest lease of a worker that runs tasks, since a worker is silent only after that.
        """
        journal = self.status_tracker.journal
        watched = journal.run(claiming_sessions(journal.asynchronous))
        if not watched or self._over.wait(max(session.lease_ms for session in watched) / 1_000):
            return []
        return journal.run(expire_silent(journal.asynchronous, watched))

    def shutdown(self) -> None:
        """Scan no more, and expire nothing more: a scan that waits for a lease ends without a result."""
        self._over.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def _scan_by_trigger(self) -> None:
        previous: datetime | None = None
        while True:
            now = datetime.now(UTC)
            at = self.trigger.get_next_fire_time(previous, now)
            if at is None or self._over.wait(max(0.0, (at - now).total_seconds())):
                return
            previous = at
            try:
                self.scan()
            except JournalError as error:
                logger.warning("the tasks of silent workers were not looked for: %s", error)


StatusTrackerIntegryScanner = StatusTrackerIntegrityScanner


def _hourly() -> Trigger:
    from apscheduler.triggers.interval import IntervalTrigger

    trigger: Trigger = IntervalTrigger(hours=SCAN_HOURS_DEFAULT)
    return trigger


async def claiming_sessions(journal: AsyncJournal) -> list[SessionState]:
    """Return the live sessions that hold tasks, as they are now."""
    log = await journal.open()
    view = await as_of(journal, TaskView, (await log.bounds()).end)
    return [session for session in view.all_sessions() if session.claims]


async def expire_silent(journal: AsyncJournal, watched: Sequence[SessionState]) -> list[str]:
    """Expire those of the sessions that have shown no sign of life since; return the ids of the tasks they held."""
    log = await journal.open()
    # Silence counts only while the journal works: what a living worker was waiting to append lands before this does.
    own = str(uuid_utils.uuid7())
    beat = encode_context(names.BEAT, {"worker": own})
    for partition in {session.partition for session in watched}:
        await journal.append_drafts([Draft(names.BEAT, beat, partition=partition)])
    view = await as_of(journal, TaskView, (await log.bounds()).end)
    found: list[str] = []
    for before in watched:
        partition, worker = before.partition, before.worker
        now = view.session(partition, worker)
        if now is None or now.last != before.last:
            continue
        context = encode_context(names.EXPIRED, {"worker": worker, "last": now.last, "by": own})
        (event,) = await journal.append_drafts([Draft(names.EXPIRED, context, worker, partition)])
        after = await as_of(journal, TaskView, (await log.bounds()).end)
        if after.session(partition, worker) is None:
            logger.warning("worker %s has been silent for its lease: its claims return, by %s", worker, event.position)
            found += now.claims
    return found
