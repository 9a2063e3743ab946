"""A shop floor for tests: a journal in memory, tasks, and workers in this event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
from journeyman.journal import AsyncJournal
from journeyman.journal.event import Event
from journeyman.journal.event_decoding import decode
from journeyman.journal.limits import PAGE_EVENTS
from journeyman.journal.log import Log, Page
from journeyman.journal.memory.log import MemoryLog, MemoryStore, MemoryTail
from journeyman.tasks import Broker, Message, SessionState, Task, TaskState, TaskView
from journeyman.tasks.state import names
from journeyman.tasks.state.remembering import RememberingView
from journeyman.tasks.submitting import submission
from journeyman.workers import Settings, WorkerLoop
from support.waiting import reached

Tasks = Mapping[str, Task[Any, Any]]
LEASE_MS = 600


def named(**functions: Callable[..., Any]) -> dict[str, Task[Any, Any]]:
    """Tasks of these functions, by name, without wait between their attempts."""
    broker = Broker("memory://")
    return {name: Task(function, broker, name, backoff=None) for name, function in functions.items()}


def among(*workers: str) -> dict[str, SessionState]:
    """Live sessions of these workers in one partition, who have not said what they know."""
    return {worker: SessionState(worker, 0, LEASE_MS, "host", 1, 0.0, 0) for worker in workers}


class Shop:
    """The journal that the workers of one test share."""

    def __init__(self, partitions: int = 1) -> None:
        self.store = MemoryStore(partitions)
        self.log = MemoryLog(self.store)
        self.journal = AsyncJournal(self.log)

    async def submit(self, task: Task[Any, Any], *args: Any, **options: Any) -> Message:
        """Submit one message."""
        message = task.generate(args=list(args), submit=False, **options)
        await self.submit_message(message)
        return message

    async def submit_message(self, message: Message) -> None:
        """Submit a message that was made before."""
        await self.journal.append_drafts([submission(message)])

    async def say(self, name: str, key: str | None = None, **context: Any) -> Event:
        """Append an event, as any program might."""
        return await self.journal.append(name, context, key)

    def events(self, name: str | None = None) -> list[Event]:
        """The events of the log, one partition after the other."""
        found: list[Event] = []
        for partition, records in enumerate(self.store.partitions):
            page = self.log.slice(partition, records.first, len(records.records))
            if page is not None:
                found += [decode(row, partition, offset) for offset, row in zip(page.offsets, page.rows, strict=True)]
        return [event for event in found if name is None or event.name == name]

    def view(self) -> TaskView:
        """The state, folded anew."""
        view = RememberingView()
        for partition, records in enumerate(self.store.partitions):
            page = self.log.slice(partition, records.first, len(records.records))
            if page is not None:
                view.apply_page(page)
        return view

    def task(self, message: Message) -> TaskState:
        """The state of a message's task."""
        state = self.view().find(message.uuid)
        assert state is not None
        return state

    def count(self, name: str) -> int:
        """How many events of that name there are."""
        return len(self.events(name))

    @asynccontextmanager
    async def worker(
        self, tasks: Tasks, settings: Settings | None = None, *, log: Log | None = None
    ) -> AsyncIterator[WorkerLoop]:
        """A worker that has joined; at the end it drains and must leave in time."""
        worker_loop, running = await self.start(tasks, settings, log=log)
        try:
            yield worker_loop
        finally:
            worker_loop.stop()
            await asyncio.wait_for(running, 60)

    async def start(
        self, tasks: Tasks, settings: Settings | None = None, *, log: Log | None = None
    ) -> tuple[WorkerLoop, "asyncio.Task[None]"]:
        """A worker that has joined, and its run: for those who end it in another way."""
        journal = AsyncJournal(log if log is not None else MemoryLog(self.store))
        worker_loop = WorkerLoop(journal, tasks, settings or Settings(threads=4, lease_ms=LEASE_MS))
        joined = asyncio.Event()
        running = asyncio.ensure_future(worker_loop.run(joined.set))
        await asyncio.wait({running, asyncio.ensure_future(joined.wait())}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        return worker_loop, running

    async def finished(self, name: str, count: int = 1) -> None:
        """Wait for that many events of a name."""
        await reached(lambda: self.count(name) >= count, f"{count} {name} in the journal")

    async def succeeded(self, count: int) -> None:
        """Wait until that many tasks have succeeded."""
        await self.finished(names.SUCCEEDED, count)


class RepeatingTail(MemoryTail):
    """Drops the events named `repeated`, as a reader drops repeats: they count as handed out, the page may be empty."""

    async def page(
        self, limit: int = PAGE_EVENTS, timeout: float | None = None, partition: int | None = None
    ) -> Page | None:
        page = await super().page(limit, timeout, partition)
        if page is None:
            return None
        kept = [
            (at, row)
            for at, row in zip(page.offsets, page.rows, strict=True)
            if orjson.loads(row)["name"] != "repeated"
        ]
        return Page(page.partition, [at for at, _ in kept], [row for _, row in kept]) if kept else None


class RepeatingLog(MemoryLog):
    """A log whose readers drop repeats."""

    async def tail(self, cursor: Mapping[int, int]) -> MemoryTail:
        reader = await super().tail(cursor)
        reader.__class__ = RepeatingTail
        return reader
