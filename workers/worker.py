"""A worker process: tasks, a journal, a foreman, and the signals that end it."""

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..journal.asynchronous import AsyncJournal
from .errors import MultipleBrokersError
from .foreman.foreman import Foreman
from .health.report import HealthTarget, reporting
from .health.service_manager import notify
from .settings import Settings, Statistics
from .task import Task

EXIT_AT_ONCE: Final = 130
_GARBAGE_THRESHOLD: Final = 50_000


def journal_url(tasks: Mapping[str, Task[Any, Any]], url: str | None) -> str | None:
    """The journal a worker of these tasks uses.

    The one it is given, else their brokers' own, else the environment's.
    """
    if url is not None:
        for task in tasks.values():
            if not task.broker.has_journal:
                task.broker.bind(url)
        return url
    journals = {task.broker.journal.url: task.broker.journal for task in tasks.values() if task.broker.has_journal}
    if len(journals) > 1:
        raise MultipleBrokersError(
            f"the tasks use different journals: {', '.join(sorted(journals))}; name one with --journal"
        )
    return next((journal.asynchronous.opening_url for journal in journals.values()), None)


async def work(
    tasks: Mapping[str, Task[Any, Any]],
    url: str | None = None,
    settings: Settings | None = None,
    started: Callable[[Foreman], None] = lambda _: None,
    health: HealthTarget | None = None,
) -> Statistics:
    """Run a worker until SIGTERM or SIGINT: then it drains and leaves. A second signal ends the process at once.

    Nothing is lost by that: what it held returns when its session expires. `health` says where it reports whether it
    is well; a service manager is told when it is ready and when it stops.
    """
    async with AsyncJournal(journal_url(tasks, url)) as journal:
        foreman = Foreman(journal, tasks, settings)
        loop = asyncio.get_running_loop()
        # Elsewhere than in the main thread signals are somebody else's, and there is another way to stop it.
        in_charge = threading.current_thread() is threading.main_thread()
        signals = (signal.SIGTERM, signal.SIGINT) if in_charge else ()
        received: list[int] = []

        def on_signal(number: int) -> None:
            received.append(number)
            if len(received) > 1:
                os._exit(EXIT_AT_ONCE)
            notify("STOPPING=1")
            foreman.stop()

        for number in signals:
            loop.add_signal_handler(number, on_signal, number)

        def on_started() -> None:
            # What the history left behind stays; nor are there cycles in what a task brings: look for garbage rarely.
            gc.freeze()
            gc.set_threshold(_GARBAGE_THRESHOLD)
            started(foreman)
            notify("READY=1")

        try:
            async with reporting(foreman, journal, health):
                await foreman.run(on_started)
        finally:
            for number in signals:
                loop.remove_signal_handler(number)
        return foreman.statistics
