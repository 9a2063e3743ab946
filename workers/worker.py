"""Run a worker process: bind its tasks to a journal, run the worker loop, and drain it on SIGTERM or SIGINT."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from ..journal.async_journal import AsyncJournal
from ..journal.limits import LET_GO_SECONDS
from ..journal.runtime.portal import keep_for_ever
from ..journal.url import shown
from ..tasks.broker import bind_all
from ..tasks.definition import Task
from ..tasks.errors import MultipleBrokersError
from .errors import LoopStopped
from .executors.tracing import begin_tracing, flush_spans
from .garbage import RareCollection
from .health.report import HealthTarget, reporting
from .health.systemd import notify
from .limits import FORCED_EXIT_SECONDS
from .loop.loop import WorkerLoop
from .metrics import samples_of
from .settings import Settings, WorkerCounts
from .signals import Signals

logger = logging.getLogger("journeyman.worker")

T = TypeVar("T")


def journal_url(tasks: Mapping[str, Task[Any, Any]], url: str | None) -> str | None:
    """Return the URL of the journal a worker of these tasks uses.

    That is `url`, else the one that their brokers name; None if the environment is to name it.
    """
    if url is not None:
        return url
    journals = {named for task in tasks.values() if (named := task.broker.opening_url) is not None}
    if len(journals) > 1:
        listed = ", ".join(sorted(map(shown, journals)))
        raise MultipleBrokersError(f"the tasks use different journals: {listed}; name one with --journal")
    return next(iter(journals), None)


def _bind(tasks: Mapping[str, Task[Any, Any]], journal: AsyncJournal) -> None:
    brokers = {task.broker for task in tasks.values()}
    for given_up in bind_all(brokers, journal.opening_url):
        logger.info("what tasks submit goes to this worker's journal, %s, and not to %s", journal.url, shown(given_up))


async def work(
    tasks: Mapping[str, Task[Any, Any]],
    url: str | None = None,
    settings: Settings | None = None,
    started: Callable[[WorkerLoop], None] = lambda _: None,
    health: HealthTarget | None = None,
    *,
    signals: Signals | None = None,
    made: Callable[[WorkerLoop], None] = lambda _: None,
) -> WorkerCounts:
    """Run a worker until SIGTERM or SIGINT, then drain it and close its sessions.

    `made(worker_loop)` is called when there is a loop that can be stopped, `started(worker_loop)` when it is ready.
    `health` is where the worker reports its health; a service manager is notified when it is ready and when it stops.
    Without `signals` this installs handlers until it returns; handlers passed in stay as long as the caller keeps them.
    """
    if signals is None:
        with Signals() as own:
            return await work(tasks, url, settings, started, health, signals=own, made=made)
    journal = AsyncJournal(journal_url(tasks, url))
    _bind(tasks, journal)
    begin_tracing()
    worker_loop = WorkerLoop(journal, tasks, settings)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        notify("STOPPING=1")
        worker_loop.stop()

    def stop_soon() -> None:
        loop.call_soon_threadsafe(stop)

    # The loop gives up by itself after `patience_seconds`; the forced exit is for one that is blocked.
    signals.answer(stop_soon, worker_loop.patience_seconds + FORCED_EXIT_SECONDS, worker_loop.left_behind)
    made(worker_loop)

    collecting = RareCollection()

    def on_started() -> None:
        collecting.begin()
        started(worker_loop)
        notify("READY=1")

    try:
        async with reporting(worker_loop, journal, health, samples_of(worker_loop.counts, journal)):
            await worker_loop.run(on_started)  # opens the journal; `stop` works during that as well
    finally:
        collecting.end()
        with suppress(TimeoutError):
            async with asyncio.timeout(LET_GO_SECONDS if worker_loop.gave_up else None):
                await journal.aclose()
        flush_spans()
    return worker_loop.counts


def run_to_its_end(main: Coroutine[Any, Any, T], in_loop: Callable[[], str]) -> T:
    """Run `main` like `asyncio.run`, but wait for no coroutine that ignores cancellation, nor for the loop's threads.

    Raises `LoopStopped` if a task has stopped the loop; `in_loop()` names the tasks that run in it.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main)
    except RuntimeError as error:
        if all(each.get_coro() is not main for each in asyncio.all_tasks(loop)):
            raise  # `main` itself has ended with this error
        running = in_loop()
        raise LoopStopped(
            "the worker's event loop was stopped, by loop.stop() or the like in an async task that had just ended"
            + (f" or that ran: {running}" if running else "")
            + ". Let no task stop the loop that it runs in. What the worker held returns when its lease is over."
        ) from error
    finally:
        try:
            _let_go(loop)
        finally:
            asyncio.set_event_loop(None)
            loop.close()


def _let_go(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks, timeout=LET_GO_SECONDS))
        keep_for_ever(*(task for task in tasks if not task.done()))  # asyncio complains of those that are destroyed
    with suppress(TimeoutError):
        loop.run_until_complete(asyncio.wait_for(loop.shutdown_asyncgens(), LET_GO_SECONDS))
