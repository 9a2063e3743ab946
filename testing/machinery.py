"""What runs the tasks of a workbench: worker loops in virtual time, and the calling thread between their turns."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..journal.async_journal import AsyncJournal
from ..tasks.definition import Task
from ..tasks.message import Message
from ..workers.settings import Settings
from .clock import VirtualClock, counting
from .event_loop import VirtualLoop, apart_from_running_loop
from .executors import Turns
from .limits import CLOSING_SECONDS_MAX
from .observed import is_for_the_test, observed
from .worker import VirtualWorkerLoop

Group = dict[str, Task[Any, Any]]


class Machinery:
    """Runs tasks on `journal`, by worker loops that are added; `note(message, error)` is told what tasks raise."""

    def __init__(
        self,
        journal: AsyncJournal,
        clock: VirtualClock,
        settings: Settings,
        note: Callable[[Message, BaseException], None],
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._settings = settings
        self._note = note
        self._loop = VirtualLoop(clock, self._awaits)
        self._turns = Turns(self._loop.stop)
        self._workers: list[VirtualWorkerLoop] = []
        self._runs: list[asyncio.Task[None]] = []
        self._for_the_test: BaseException | None = None
        self.runs = False

    @property
    def turns(self) -> Turns:
        """The synchronous tasks, one by one."""
        return self._turns

    def hire(self, group: Group) -> None:
        """Add a worker for these tasks."""
        tasks = {name: observed(task, self._raised) for name, task in group.items()}
        worker = VirtualWorkerLoop(self._journal, tasks, self._settings, self._turns)
        self._workers.append(worker)
        self._runs.append(self._loop.create_task(worker.run(), name="journeyman-worker"))

    def run_to(self, horizon: float | None) -> None:
        """Run what is due up to that monotonic moment; None for the present and as long as coroutines run."""
        self.runs = True
        try:
            with counting(self._clock), apart_from_running_loop():
                while True:
                    self._loop.run_to(horizon)
                    self._check()
                    ran = self._turns.take()
                    self._check()
                    if not ran:
                        return
        finally:
            self.runs = False

    def close(self) -> None:
        """Have the workers leave, and cancel what still runs."""
        with counting(self._clock), apart_from_running_loop():
            try:
                self._loop.run_out(self._leave())
            finally:
                self._loop.close()

    async def _leave(self) -> None:
        for worker in self._workers:
            worker.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS_MAX):
                await asyncio.gather(*self._runs, return_exceptions=True)
        others = asyncio.all_tasks(self._loop) - {asyncio.current_task(self._loop)}
        for other in others:
            other.cancel()
        if others:
            await asyncio.wait(others, timeout=CLOSING_SECONDS_MAX)
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS_MAX):
                await self._loop.shutdown_asyncgens()
                await self._journal.aclose()

    def _awaits(self) -> bool:
        return any(worker.awaits for worker in self._workers)

    def _raised(self, message: Message, error: BaseException) -> None:
        self._note(message, error)
        if is_for_the_test(error):
            self._for_the_test = error
            self._loop.stop()

    def _check(self) -> None:
        """Raise what a task has raised for the test, or the error by which a worker has ended."""
        error, self._for_the_test = self._for_the_test, None
        if error is not None:
            raise error
        for run in self._runs:
            if run.done():
                run.result()
                raise AssertionError("a worker of the workbench has left before its end")
