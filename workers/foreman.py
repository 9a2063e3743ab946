"""The foreman: one loop that reads the journal, decides, appends, and keeps the crew busy.

It is a thin shell. What the journal means is `TaskView`'s to say, what to do next is `decide`'s, running is the crew's.
Each turn of the loop: read what has come, collect outcomes, decide, and append outcomes and commands together, in one
append for each partition. What it appends it applies itself, by the positions it got, after the foreign records before
them: it never reads its own events again.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from ..journal.asynchronous import AsyncJournal
from ..journal.errors import AppendInDoubt, JournalUnavailable
from ..journal.event import Draft, Event
from ..journal.limits import (
    CLAIM_IDLE_SECONDS_MAX,
    DRAIN_SECONDS_DEFAULT,
    LEASE_MS_DEFAULT,
    LEASE_RENEWAL_FRACTION,
    LEASE_START_FRACTION,
    OUTCOME_LINGER_SECONDS,
    PAGE_EVENTS,
    THREADS_DEFAULT,
    WATCH_INTERVAL_SECONDS,
)
from ..journal.log import Log, Page, Tail
from . import names
from .crew import ThreadCrew
from .decide import Beat, Claim, Command, Expire, Join, Situation, Standing, decide, room
from .joining import joining
from .message import new_id
from .pipeline import Job, Lease, Outcome
from .ready import ReadyTasks
from .task import Task
from .transitions import State
from .view import FactContext, TaskState, TaskView
from .watch import Watch

logger = logging.getLogger("journeyman.worker")

_RETRY_SECONDS_MIN: Final = 0.05
_RETRY_SECONDS_MAX: Final = 2.0


class Settings(msgspec.Struct, frozen=True):
    """How a worker works: `lease_ms` in ms, `drain_seconds` in seconds; `queues` in order of preference, None for all."""

    queues: tuple[str, ...] | None = None
    threads: int = THREADS_DEFAULT
    lease_ms: int = LEASE_MS_DEFAULT
    drain_seconds: float = DRAIN_SECONDS_DEFAULT


class _Entry(NamedTuple):
    """One event to append, and the same event as the fold will see it."""

    draft: Draft
    fact: FactContext
    command: Command | None = None


class Statistics(msgspec.Struct):
    """What a worker has done since it started."""

    claimed: int = 0
    lost_claims: int = 0
    succeeded: int = 0
    failed: int = 0
    retried: int = 0
    interrupted: int = 0
    refused: int = 0
    appends: int = 0
    expired_sessions: int = 0


class Foreman:
    """Runs `tasks` (by name) for `journal` until it is stopped."""

    def __init__(
        self, journal: AsyncJournal, tasks: Mapping[str, Task[Any, Any]], settings: Settings | None = None
    ) -> None:
        self.settings = settings or Settings()
        self.statistics = Statistics()
        self.view = TaskView(keep_rows=True)
        self._journal = journal
        self._tasks = tasks
        self._watch = Watch()
        self._leases: dict[int, Lease] = {}
        self._applied: dict[int, int] = {}
        self._held: dict[str, Job] = {}
        self._returned: list[Outcome] = []
        self._ready = ReadyTasks(tasks.__contains__, self.settings.queues)
        self._sessions_changed = False
        self._draining_since: float | None = None
        self._somebody_to_watch = False
        self._watched_at = 0.0
        self._outcomes_since: float | None = None
        self._progressed_at = 0.0
        self._page_task: asyncio.Task[Page | None] | None = None
        self._log: Log
        self._tail: Tail
        self._loop: asyncio.AbstractEventLoop
        self._woken: asyncio.Future[None]
        self._crew: ThreadCrew

    @property
    def worker(self) -> str:
        """The id of this worker's session; once it runs, and until it is expired by another and joins anew."""
        return next(iter(self._leases.values())).worker

    # -- life ------------------------------------------------------------------------------------------------------

    async def run(self, started: Callable[[], None] = lambda: None) -> None:
        """Work until `stop` is called and what runs has ended or the drain's time is over; then leave.

        `started()` is called when the history is read and the sessions are open.
        """
        await self._start()
        announced = False
        try:
            while not self._drained():
                await self._turn()
                if not announced and self._joined():
                    announced = True
                    started()
            await self._leave()
        finally:
            self._crew.close()
            if self._page_task is not None:
                self._page_task.cancel()
                await asyncio.gather(self._page_task, return_exceptions=True)
            await self._tail.aclose()

    def stop(self) -> None:
        """Begin to drain: claim nothing more, give back what no thread has come to, let the rest end. Call in the loop."""
        if self._draining_since is None:
            self._draining_since = time.monotonic()
            logger.info("draining: %d running, up to %g s", self._crew.running, self.settings.drain_seconds)
            self._wake()

    async def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._woken = self._loop.create_future()
        self._crew = ThreadCrew(self.settings.threads, self._tasks, self._wake_from_thread)
        self._log = await self._journal.open()
        bounds = await self._log.bounds()
        self._applied = dict(bounds.first)
        self._tail = await self._log.tail(bounds.first)
        await self._read_up_to(bounds.end)
        worker = new_id()
        self._leases = {partition: Lease(worker, partition) for partition in bounds.end}
        self._share_work_anew()
        for task in sorted(self.view.live.values(), key=lambda each: each.submitted):
            if task.state is State.READY:
                self._ready.add(task)
        self.view.on_ready = self._ready.add
        self.view.on_sessions = self._note_sessions_changed
        self._progressed_at = time.monotonic()

    def _joined(self) -> bool:
        return all(self.view.session(place, lease.worker) is not None for place, lease in self._leases.items())

    def _drained(self) -> bool:
        if self._draining_since is None:
            return False
        busy = self._crew.running or self._crew.waiting or self._crew.has_outcomes
        return not busy or time.monotonic() >= self._draining_since + self.settings.drain_seconds

    async def _leave(self) -> None:
        """Give back what is left, by leaving: the claims return at once and no attempt is used."""
        unfinished = self._crew.running
        if unfinished:
            logger.warning("%d still running after %g s: given back", unfinished, self.settings.drain_seconds)
        entries = [self._outcome_entry(outcome) for outcome in self._crew.collect()]
        entries += [
            _entry(names.LEFT, b'{"worker":"%b"}' % lease.worker.encode(), place, FactContext(worker=lease.worker))
            for place, lease in self._leases.items()
            if self.view.session(place, lease.worker) is not None
        ]
        if entries:
            await self._commit(entries)

    # -- one turn --------------------------------------------------------------------------------------------------

    async def _turn(self) -> None:
        await self._read_what_came()
        if self._sessions_changed:
            self._share_work_anew()
        self._give_back_unstarted()
        entries = self._outcome_entries()
        commands = decide(self.view, self._ready, self._watch, self._situation())
        entries += [self._command_entry(command) for command in commands]
        if entries:
            await self._commit(entries)
        else:
            await self._wait()

    def _situation(self) -> Situation:
        monotonic = time.monotonic()
        if monotonic - self._watched_at >= WATCH_INTERVAL_SECONDS:
            self._watched_at = monotonic
            own = frozenset(lease.worker for lease in self._leases.values())
            self._somebody_to_watch = self._watch.observe(self.view, own, monotonic)
            self._ready.sweep(len(self.view.live))
        hold = self._room()
        # Refilling one by one would make every append a lone one: wait until a quarter of the room is free.
        free = hold - len(self._held)
        if self._held and free < max(1, hold // 4) and self._crew.waiting:
            free = 0
        return Situation(
            time.time(),
            monotonic,
            free,
            self.settings.lease_ms / 1_000,
            {partition: Standing(lease.worker, lease.acknowledged_at) for partition, lease in self._leases.items()},
            self._draining_since is not None,
        )

    def _stuck(self) -> bool:
        """Whether every thread is in long work, so that what is claimed ahead would wait too long."""
        return time.monotonic() - self._progressed_at > CLAIM_IDLE_SECONDS_MAX

    def _room(self) -> int:
        return self._crew.size if self._stuck() else room(self._crew.size, self._crew.job_seconds)

    def _give_back_unstarted(self) -> None:
        """Give back claims no thread will come to soon: when draining, and when every thread is stuck in long work."""
        if not self._crew.waiting:
            return
        draining = self._draining_since is not None
        if draining or self._stuck():
            reason = b',"reason":"draining"' if draining else b',"reason":"no thread came free"'
            self._returned += [Outcome(job, names.INTERRUPTED, reason) for job in self._crew.take_back()]

    def _outcome_entries(self) -> list[_Entry]:
        outcomes, self._returned = self._returned, []
        if self._crew.has_outcomes and not self._linger():
            self._outcomes_since = None
            self._progressed_at = time.monotonic()
            outcomes += self._crew.collect()
        return [self._outcome_entry(outcome) for outcome in outcomes]

    def _linger(self) -> bool:
        """Whether to let outcomes wait for company: more are coming soon, and nobody waits long for these."""
        if not self._crew.waiting or self._draining_since is not None:
            return False
        now = time.monotonic()
        if self._outcomes_since is None:
            self._outcomes_since = now
        self._crew.lingering = (
            self._crew.outcomes < len(self._held) // 4 and now < self._outcomes_since + OUTCOME_LINGER_SECONDS
        )
        return self._crew.lingering

    def _outcome_entry(self, outcome: Outcome) -> _Entry:
        job: Job = outcome.job
        self._held.pop(job.state.id, None)
        self._count(outcome.name)
        fact = FactContext(task=job.state.id, worker=job.lease.worker, claim=job.claim, due=outcome.due)
        return _Entry(Draft(outcome.name, outcome.context(), job.state.id, job.lease.partition), fact)

    def _count(self, name: str) -> None:
        counts = self.statistics
        if name == names.SUCCEEDED:
            counts.succeeded += 1
        elif name == names.RETRIED:
            counts.retried += 1
        elif name == names.FAILED:
            counts.failed += 1
        else:
            counts.interrupted += 1

    def _command_entry(self, command: Command) -> _Entry:
        match command:
            case Claim(task):
                return self._claim_entry(command, task)
            case Join(partition):
                return self._join_entry(command, partition)
            case Beat(partition):
                worker = self._leases[partition].worker
                return _entry(
                    names.BEAT, b'{"worker":"%b"}' % worker.encode(), partition, FactContext(worker=worker), command
                )
            case Expire(partition, worker, last):
                own = self._leases[partition].worker
                logger.warning("worker %s has been silent for its lease: its claims return", worker)
                self.statistics.expired_sessions += 1
                context = orjson.dumps({"worker": worker, "last": last, "by": own})
                return _entry(names.EXPIRED, context, partition, FactContext(worker=worker, last=last, by=own), command)

    def _claim_entry(self, command: Command, task: TaskState) -> _Entry:
        worker = self._leases[task.partition].worker
        context = b'{"task":%b,"worker":"%b"}' % (orjson.dumps(task.id), worker.encode())
        draft = Draft(names.CLAIMED, context, task.id, task.partition)
        return _Entry(draft, FactContext(task=task.id, worker=worker), command)

    def _join_entry(self, command: Command, partition: int) -> _Entry:
        lease = self._leases[partition]
        if lease.spent:
            logger.warning("the session %s was expired by another worker: carrying on with a new one", lease.worker)
            lease = self._leases[partition] = Lease(new_id(), partition)
        lease.spent = True
        settings = self.settings
        fact, context = joining(lease.worker, settings.lease_ms, self._tasks, settings.queues, settings.threads)
        return _entry(names.JOINED, context, partition, fact, command)

    # -- reading ---------------------------------------------------------------------------------------------------

    async def _read_up_to(self, end: Mapping[int, int]) -> None:
        for partition, offset in end.items():
            while self._applied.get(partition, 0) < offset:
                page = await self._tail.page(PAGE_EVENTS, None, partition)
                if page is not None:
                    self._apply(page)

    async def _read_what_came(self) -> None:
        """Apply what is there now, without waiting."""
        if self._page_task is not None:
            if self._page_task.done():
                task, self._page_task = self._page_task, None
                page = task.result()
                if page is not None:
                    self._apply(page)
            return
        if not self._crew.waiting and not self._crew.has_outcomes:
            return  # with nothing to do the next thing is to wait, and waiting begins with a look
        page = await self._tail.page(PAGE_EVENTS, 0.0)
        while page is not None:
            self._apply(page)
            page = await self._tail.page(PAGE_EVENTS, 0.0) if len(page.rows) >= PAGE_EVENTS else None

    def _apply(self, page: Page) -> None:
        known = self._applied.get(page.partition, 0)
        if page.next_offset <= known:
            return
        if page.offsets[0] < known:  # our own events, applied already by their position
            fresh = [index for index, offset in enumerate(page.offsets) if offset >= known]
            page = Page(page.partition, [page.offsets[i] for i in fresh], [page.rows[i] for i in fresh])
        self.view.apply_page(page)
        self._applied[page.partition] = page.next_offset

    # -- appending -------------------------------------------------------------------------------------------------

    async def _commit(self, entries: Sequence[_Entry]) -> None:
        """Append, then apply: the foreign records before ours first, ours by their positions."""
        begun = time.monotonic()
        events = await self._append([entry.draft for entry in entries])
        took = time.monotonic() - begun
        self.statistics.appends += 1
        if took > self.settings.lease_ms / 1_000 * LEASE_RENEWAL_FRACTION:
            logger.warning("an append took %.1f s: the watch over other workers starts anew", took)
            self._watch.restart(time.monotonic())
        await self._stop_waiting_for_pages()
        for partition in {event.partition for event in events}:
            await self._apply_own(partition, entries, events, begun)
        await self._start_accepted(entries, events)

    async def _append(self, drafts: list[Draft]) -> list[Event]:
        """Append until acknowledged: an outcome must not be lost, and repeating a draft never doubles it."""
        pause = _RETRY_SECONDS_MIN
        while True:
            try:
                return await self._journal.append_drafts(drafts)
            except (AppendInDoubt, JournalUnavailable) as error:
                logger.warning("the journal does not take appends, trying again: %s", error)
                self._watch.restart(time.monotonic())
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(pause * 2, _RETRY_SECONDS_MAX)

    async def _apply_own(
        self, partition: int, entries: Sequence[_Entry], events: Sequence[Event], begun: float
    ) -> None:
        own = [(entry, event) for entry, event in zip(entries, events, strict=True) if event.partition == partition]
        first = own[0][1].offset
        while self._applied[partition] < first:
            page = await self._tail.page(min(PAGE_EVENTS, first - self._applied[partition]), None, partition)
            if page is not None:
                self._apply(page)
        apply_fact = self.view.apply_fact
        for entry, event in own:
            if event.offset >= self._applied[partition]:
                apply_fact(event.name, entry.fact, partition, event.offset, event.timestamp)
                if isinstance(entry.command, Beat) and entry.command.probe:
                    self._watch.probed(self.view, partition, event.offset, time.monotonic())
        end = own[-1][1].offset + 1
        self._applied[partition] = max(self._applied[partition], end)
        self._tail.skip(partition, end)
        self._leases[partition].renew(begun, self.settings.lease_ms / 1_000 * LEASE_START_FRACTION)

    async def _start_accepted(self, entries: Sequence[_Entry], events: Sequence[Event]) -> None:
        jobs: list[Job] = []
        for entry, event in zip(entries, events, strict=True):
            if not isinstance(entry.command, Claim):
                continue
            task = entry.command.task
            if task.claim != event.offset:
                self.statistics.lost_claims += 1
                continue
            self.statistics.claimed += 1
            job = Job(task, self._leases[task.partition], event.offset, task.row or await self._row_of(task))
            self._held[task.id] = job
            jobs.append(job)
        if jobs:
            if not self._crew.waiting and not self._crew.running:
                self._progressed_at = time.monotonic()
            self._crew.start(jobs)

    async def _row_of(self, task: TaskState) -> bytes:
        """The submission of a task that had been finished, so that the view let go of it."""
        return (await self._log.read({task.partition: task.submitted}, 1))[0].rows[0]

    # -- waiting ---------------------------------------------------------------------------------------------------

    async def _wait(self) -> None:
        """Wait for whatever comes first: a record, an outcome, a timer."""
        self._crew.nudge()
        if self._page_task is None:
            self._page_task = asyncio.ensure_future(self._tail.page())
            self._page_task.add_done_callback(lambda _: self._wake())
        pause = self._pause()
        timer = self._loop.call_later(pause, self._wake) if pause is not None else None
        await self._woken
        self._woken = self._loop.create_future()
        if timer is not None:
            timer.cancel()

    def _pause(self) -> float | None:
        """Seconds until the next thing that no record and no outcome announces; None if there is none."""
        monotonic = time.monotonic()
        moments: list[float] = []
        if self._crew.waiting or self._outcomes_since is not None:
            moments.append(monotonic + OUTCOME_LINGER_SECONDS)
        if self._held:
            renewal = self.settings.lease_ms / 1_000 * LEASE_RENEWAL_FRACTION
            moments += [lease.acknowledged_at + renewal for lease in self._leases.values()]
        if self._somebody_to_watch or any(session.claims for session in self.view.all_sessions()):
            moments.append(monotonic + WATCH_INTERVAL_SECONDS)
        if self._draining_since is not None:
            moments.append(self._draining_since + self.settings.drain_seconds)
        if len(self._held) < self._room():
            due, steal_at = self._ready.next_due(), self._ready.steal_at()
            moments += [monotonic + due - time.time()] if due is not None else []
            moments += [steal_at] if steal_at is not None else []
        return max(0.0, min(moments) - monotonic) if moments else None

    async def _stop_waiting_for_pages(self) -> None:
        """Take the reader back from a wait; what it has read already is applied."""
        task, self._page_task = self._page_task, None
        if task is None:
            return
        task.cancel()
        try:
            page = await task
        except asyncio.CancelledError:
            return
        if page is not None:
            self._apply(page)

    def _wake(self) -> None:
        if not self._woken.done():
            self._woken.set_result(None)

    def _wake_from_thread(self) -> None:
        self._loop.call_soon_threadsafe(self._wake)

    # -- sharing ---------------------------------------------------------------------------------------------------

    def _note_sessions_changed(self) -> None:
        self._sessions_changed = True

    def _share_work_anew(self) -> None:
        """The set of workers has changed: whose turn a task is, is decided anew; rejoin where we were expired."""
        self._sessions_changed = False
        own = {partition: lease.worker for partition, lease in self._leases.items()}
        self._ready.set_workers(own, self.view.sessions)


def _entry(name: str, context: bytes, partition: int, fact: FactContext, command: Command | None = None) -> _Entry:
    return _Entry(Draft(name, context, fact.worker, partition), fact, command)
