"""Run a process that fires schedules and does nothing else, until SIGTERM or SIGINT."""

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from ..consumers.views.replica import Replica
from ..journal.async_journal import AsyncJournal
from ..journal.errors import AppendInDoubt, JournalGone, JournalUnavailable
from ..tasks.state.view import TaskView
from .health.progress import WorkerHealth
from .health.report import HealthTarget, reporting
from .limits import FORCED_EXIT_SECONDS, RETRY_SECONDS_MAX, STOP_UNSTARTED_SECONDS
from .loop.firing import Firing, drafts_of
from .loop.timetable import Timetable
from .metrics import samples_of
from .scheduling.decide import firing
from .signals import Signals

logger = logging.getLogger("journeyman.worker")

T = TypeVar("T")


class Scheduler:
    """Follows the state of the queue in `journal` and fires the ticks that are due.

    Any number of schedulers and workers may fire the same schedules: of each tick, one append succeeds.
    """

    def __init__(self, journal: AsyncJournal) -> None:
        self._replica = Replica(journal, TaskView())
        self._firing = Firing(journal, Timetable(self._replica.view.schedules))
        self._stopped = asyncio.Event()
        self._is_ready = False

    @property
    def fired(self) -> int:
        """How many ticks this process has fired."""
        return self._firing.fired

    def health(self) -> WorkerHealth | None:
        """Return the state for the health report; None until the history has been read. Call in the event loop."""
        if not self._is_ready:
            return None
        stopping, cursor = self._stopped.is_set(), self._replica.cursor
        return WorkerHealth("scheduler", stopping, time.monotonic(), cursor, 0, None, 0.0)

    async def run(self, started: Callable[[], None] = lambda: None) -> None:
        """Fire ticks until `stop` is called; call `started()` once the history has been read.

        An outage of the journal is waited out; `JournalGone` if the journal was deleted.
        """
        try:
            if await self._unless_stopped(self._available(self._replica.catch_up)):
                self._is_ready = True
                started()
            while not self._stopped.is_set():
                await self._turn()
        finally:
            await self._replica.aclose()

    def stop(self) -> None:
        """Have `run` return once an append in progress is finished. Call in the event loop."""
        self._stopped.set()

    async def _turn(self) -> None:
        view, now = self._replica.view, time.time()
        fires = [fire for due in self._firing.due(now) for fire in firing(view, due)]
        if fires:
            ends = await self._firing.fire(drafts_of(fires, self._replica.cursor), self._available)
            await self._available(functools.partial(self._replica.wait_for, ends))
        else:
            wait = self._firing.wait(time.time())
            await self._unless_stopped(self._available(functools.partial(self._replica.advance, wait)))

    async def _unless_stopped(self, work: Awaitable[Any]) -> bool:
        """Await `work`, but cancel it when the scheduler is stopped; return whether `work` ran to its end."""
        running, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not running.done():
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running
        if running.cancelled():
            return False
        running.result()
        return True

    async def _available(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat a call until the journal answers it; the log recognises a repeated append and stores it once."""
        is_away = False
        while True:
            try:
                answer = await call()
            except JournalGone:
                raise
            except (AppendInDoubt, JournalUnavailable) as error:
                if not is_away:
                    logger.warning("the journal does not answer; the scheduler tries again until it does: %s", error)
                is_away = True
                await asyncio.sleep(RETRY_SECONDS_MAX)
            else:
                if is_away:
                    logger.warning("the journal answers again")
                return answer


async def fire_schedules(
    url: str | None,
    started: Callable[[Scheduler], None] = lambda _: None,
    health: HealthTarget | None = None,
) -> int:
    """Fire the schedules of the journal until SIGTERM or SIGINT; return how many ticks were fired.

    `health` is the target to which the process reports its health; None for no report.
    """
    loop = asyncio.get_running_loop()
    with Signals() as signals:
        journal = AsyncJournal(url)
        scheduler = Scheduler(journal)

        def stop() -> None:
            loop.call_soon_threadsafe(scheduler.stop)

        signals.answer(
            stop,
            STOP_UNSTARTED_SECONDS + FORCED_EXIT_SECONDS,
            lambda: "the journal does not answer. Other processes, if any run, fire the ticks that are due",
        )
        try:
            async with reporting(scheduler, journal, health, samples_of(None, journal)):
                await scheduler.run(lambda: started(scheduler))
        finally:
            await journal.aclose()
    return scheduler.fired
