"""The worker loop: reads the journal, decides, appends, and keeps the executors busy.

It is a thin shell: `TaskView` interprets the journal, `decide` chooses what to do next, the executors run tasks.
Each turn reads the new records, collects outcomes, decides, and appends outcomes and commands together, in one append
for each partition. The loop applies its own events by the positions that the append returned, after the records of
other writers before them; it never reads its own events again.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from ...journal.async_journal import AsyncJournal
from ...journal.event import Event
from ...journal.runtime.heap import return_large_blocks
from ...tasks.definition import Task
from ...tasks.state.state import TaskKind, TaskState
from ...tasks.state.transitions import State
from ...tasks.state.view import TaskView
from ..errors import OutcomesUnwritten
from ..executors import Bounds, CoroutineExecutor, Executor, ProcessExecutor, ThreadExecutor, ThreadGroupExecutor
from ..executors.children.process import Journals, journals_of
from ..executors.pipeline import Job, gone
from ..health.progress import WorkerHealth
from ..limits import (
    DEAD_PROCESSES_SECONDS,
    LEASE_RENEWAL_FRACTION,
    READY_KINDS_REMEMBERED,
    STEAL_DELAY_APPENDS,
    STEAL_DELAY_SECONDS,
    STEAL_DELAY_SECONDS_MAX,
    STOP_UNSTARTED_SECONDS,
    TASK_NAMES_SHOWN,
    WATCH_INTERVAL_SECONDS,
)
from ..scheduling.commit_pace import CommitPace
from ..scheduling.decide import Claim, Command, Expire, Lapse, Situation, decide
from ..scheduling.failure_detector import FailureDetector
from ..scheduling.ready_queue import ReadyTasks
from ..settings import Settings, Statistics
from .appender import Appender
from .dead_processes import departed
from .drafts import Desk, WorkerDraft, entries_of, leave_entry, outcome_entries, progress_entries, within_limits
from .firing import Firing
from .hooks import OutcomeHooks
from .indexing import IndexKeeper
from .known_tasks import KnownTasks
from .lane import Lane
from .reader import Reader
from .sessions import OwnSessions
from .submissions import Submissions
from .timetable import Timetable

logger = logging.getLogger("journeyman.worker")


class WorkerLoop:
    """Runs `tasks` (by name) for `journal` until it is stopped."""

    def __init__(
        self, journal: AsyncJournal, tasks: Mapping[str, Task[Any, Any]], settings: Settings | None = None
    ) -> None:
        self.settings = settings or Settings()
        self.statistics = Statistics()
        self._journal = journal
        self._known = KnownTasks(tasks, self.settings.selection)
        self._tasks = self._known.by_name
        self._ready_of: dict[TaskKind, ReadyTasks | None] = {}
        self.view = TaskView(keeps=self._runs)
        self._lanes: dict[str, Lane] = {}
        lease_seconds = self.settings.lease_seconds
        self._detector = FailureDetector(lease_seconds)
        self._reader = Reader(self.view, self._detector, lease_seconds)
        hooks, counts = OutcomeHooks(tasks), self.statistics
        self._appending = Appender(journal, self._reader, self.view, self._detector, lease_seconds, counts, hooks)
        self._submissions = Submissions(self._reader, self.view)
        self._index = IndexKeeper(journal, lambda: self._reader.position)
        self._firing = Firing(journal, Timetable(self.view.schedules) if self.settings.fires_schedules else None)
        self._sessions = OwnSessions(self.view, ())
        self._left_level = logging.WARNING  # at which it says that tasks still ran when it left
        self._draining_since: float | None = None
        self._pace = CommitPace()
        self._pausing = False
        self._arrived = 0  # tasks that have become ready since the last turn
        self._holders_to_watch = False
        self._watched_at = 0.0
        self._turned_at = 0.0
        self._dead_processes_at = 0.0
        self._enforcing: asyncio.TimerHandle | None = None
        self._entered = False
        self._started = False
        self._loop: asyncio.AbstractEventLoop
        self._woken: asyncio.Future[None]
        self._patience = asyncio.timeout_at(None)

    @property
    def worker(self) -> str:
        """The id of this worker's session, once it runs; it changes if another worker expires the session."""
        return self._sessions.worker

    # -- life ------------------------------------------------------------------------------------------------------

    async def run(self, started: Callable[[], None] = lambda: None) -> None:
        """Run until `stop` is called and running tasks have ended or the drain's time is over; then leave.

        `started()` is called when the history is read and the sessions are open. `OutcomesUnwritten` if the journal did
        not take the last events within `patience_seconds` after `stop`.
        """
        return_large_blocks()
        self._loop = asyncio.get_running_loop()
        self._woken = self._loop.create_future()
        try:
            async with self._patience:
                self._entered = True
                if self._draining_since is None:
                    await self._run(started)
        except TimeoutError:
            if not self._patience.expired():
                raise
            if self._started:
                raise OutcomesUnwritten(self.left_behind()) from None
            logger.warning("stopped before it was ready")
        finally:
            self._entered = False

    async def _run(self, started: Callable[[], None]) -> None:
        end = await self._reader.open(self._journal)
        try:
            await self._reader.read_up_to(end)
            self._open_lanes()
            self._begin(sorted(end))
            self._reader.listen(self._wake)
            while not self._joined():
                await self._turn()
            if self._draining_since is None:
                self._started = True
                self._index.start()
                started()
            while not self._drained():
                await self._turn()
            await self._leave()
        finally:
            if self._enforcing is not None:
                self._enforcing.cancel()
            self._appending.failures.sum_up(math.inf)
            for lane in self._lanes.values():
                lane.executor.close()
            await self._appending.aclose()
            await self._index.aclose()
            await self._reader.aclose()

    def stop(self) -> None:
        """Begin to drain: claim nothing more, give back unstarted tasks, let the others end. Call in the event loop."""
        if self._draining_since is not None:
            return
        self._draining_since = time.monotonic()
        logger.info("draining: %d running, up to %g s", self._running, self.settings.drain_seconds)
        if self._entered:
            patience = self.patience_seconds if self._started else STOP_UNSTARTED_SECONDS
            self._patience.reschedule(self._loop.time() + patience)
            self._wake()

    @property
    def patience_seconds(self) -> float:
        """How long after `stop` it tries to leave, in seconds: the drain's time, then a lease's time for the journal.

        After that its claims return by themselves, since none of its events has reached the journal for a lease.
        """
        return self.settings.drain_seconds + self.settings.lease_seconds

    @property
    def gave_up(self) -> bool:
        """Whether it has ended without leaving, since it could not leave in time."""
        return self._patience.expired()

    def left_behind(self) -> str:
        """Describe the outcomes that are not written yet and the tasks that still run."""
        claims, running = self._sessions.claims, self._running
        return (
            f"{max(0, claims - running):,} outcomes could not be written to the journal, and {running:,} tasks still "
            "run. Nothing is lost: these tasks return when the lease is over, and run again"
        )

    def in_loop(self) -> str:
        """Return the tasks that run in the event loop, by name and id; empty if none does."""
        executors = [lane.executor for lane in self._lanes.values() if isinstance(lane.executor, CoroutineExecutor)]
        tasks = [f"{job.state.name} {job.state.id}" for executor in executors for job in executor.in_hand()]
        named = ", ".join(tasks[:TASK_NAMES_SHOWN])
        more = f" and {len(tasks) - TASK_NAMES_SHOWN:,} more" if len(tasks) > TASK_NAMES_SHOWN else ""
        return f"{named}{more}"

    @property
    def _running(self) -> int:
        return sum(lane.executor.running for lane in list(self._lanes.values()))

    def health(self) -> WorkerHealth | None:
        """Return the state for the health report; None until it works. Call in the event loop; causes a turn."""
        if not self._turned_at:
            return None
        self._wake()
        sessions, draining = self._sessions, self._draining_since is not None
        start_failures = tuple(
            f"no task with mechanism {mechanism} can be run: {lane.executor.start_failure}"
            for mechanism, lane in self._lanes.items()
            if lane.executor.start_failure
        )
        return WorkerHealth(
            sessions.worker,
            draining,
            self._turned_at,
            self._reader.position,
            sessions.claims,
            min(sessions.acknowledged(), default=None),
            self.settings.lease_seconds,
            start_failures,
        )

    def _open_lanes(self) -> None:
        """Open a lane for each mechanism among the tasks."""
        makers: dict[str, Callable[[Mapping[str, Task[Any, Any]]], Executor]] = {
            "thread": self._threads,
            "process": self._processes,
            "async": self._coroutines,
        }
        for mechanism in sorted({task.mechanism for task in self._tasks.values()}):
            tasks = {name: task for name, task in self._tasks.items() if task.mechanism == mechanism}
            ready = ReadyTasks(tasks.__contains__, self._known.selection)
            self._lanes[mechanism] = Lane(makers[mechanism](tasks), ready)

    def _threads(self, tasks: Mapping[str, Task[Any, Any]]) -> Executor:
        """Return the executor for threads: in this process, or in groups in child processes."""
        settings, abandon = self.settings, self.settings.abandon_threads
        if not settings.thread_processes:
            return ThreadExecutor(
                settings.threads, tasks, self._wake_from_thread, self._appending.write_alone, abandon=abandon
            )
        bounds = Bounds(settings.threads, settings.process_floor, settings.thread_processes)
        return ThreadGroupExecutor(
            bounds, tasks, self._wake, abandon=abandon, enforce_ms=settings.enforce_ms, journals=self._journals()
        )

    def _coroutines(self, tasks: Mapping[str, Task[Any, Any]]) -> Executor:
        return CoroutineExecutor(self.settings.coroutines, tasks, self._wake)

    def _processes(self, tasks: Mapping[str, Task[Any, Any]]) -> Executor:
        floor = self.settings.process_floor
        return ProcessExecutor(self.settings.processes, tasks, self._wake, floor=floor, journals=self._journals())

    def _journals(self) -> Journals:
        return journals_of(self._tasks, self._journal.opening_url)

    def _begin(self, partitions: Sequence[int]) -> None:
        self._sessions = OwnSessions(self.view, partitions, self._wake_from_thread)
        self._share_work_anew()
        self._known.compare(self.view.all_sessions())
        for task in sorted(self.view.live.values(), key=lambda each: each.submitted):
            if task.run.state is State.READY:
                self._add_ready(task)
        self.view.on_ready = self._add_ready
        self.view.sessions.on_change = self.view.paused.on_change = self._sessions.note_change

    def _joined(self) -> bool:
        return self._draining_since is not None or self._sessions.all_live()

    def _drained(self) -> bool:
        if self._draining_since is None:
            return False
        return not self._holding or time.monotonic() >= self._draining_since + self.settings.drain_seconds

    async def _leave(self) -> None:
        """Append the last outcomes and leave: remaining claims return at once and use up no attempt."""
        entries = await self._outcome_entries(time.monotonic())
        left = self.statistics.left_running = sum(lane.in_hand for lane in self._lanes.values())
        if left:
            logger.log(self._left_level, "%d still running after %g s: given back", left, self.settings.drain_seconds)
        entries += [leave_entry(self._sessions[session.partition]) for session in self._sessions.live()]
        if entries:
            await self._commit(entries)

    # -- one turn --------------------------------------------------------------------------------------------------

    async def _turn(self) -> None:
        paused = await self._keep_pace()
        # Without other work the next step is to wait, which begins with reading.
        await self._reader.read_what_came(look=paused or any(lane.has_news for lane in self._lanes.values()))
        if self._sessions.changed:
            self._share_work_anew()
        self._turned_at = monotonic = time.monotonic()
        self._look_around(monotonic)
        entries = await self._outcome_entries(monotonic)
        self._note_turn(monotonic, holding=bool(entries) or self._holding)
        offers = [(lane.ready, lane.free(monotonic)) for lane in self._lanes.values()]
        commands = decide(self.view, offers, self._detector, self._situation(monotonic))
        commands += self._departed(monotonic)
        ticks, commands = self._firing.take(commands, lambda: self._reader.position)
        entries += await self._command_entries(commands)
        if entries:
            await self._commit(entries)
        if ticks is not None:
            await self._reader.read_again(await self._firing.fire(ticks, self._reader.taking_appends))
        elif not entries and not self._drained():  # it may be by now, as outcomes were applied
            await self._wait()

    def _note_turn(self, monotonic: float, *, holding: bool) -> None:
        arrived, self._arrived = self._arrived, 0
        workers = sum(bool(session.claims) for session in self.view.all_sessions())
        self._pace.turned(
            monotonic, arrived=arrived, holding=holding, append_seconds=self._appending.seconds, workers=workers
        )

    async def _keep_pace(self) -> bool:
        """In a stream of tasks, pause so that some come and some end before the next turn; return whether it paused."""
        outcomes = sum(lane.executor.outcomes for lane in self._lanes.values())
        draining = self._draining_since is not None
        pause = self._pace.pause(time.monotonic(), holding=self._holding, outcomes=outcomes, draining=draining)
        if pause <= 0.0:
            return False
        self._pausing = True  # outcomes of the pause are collected after it, so they need not wake the loop
        await self._reader.rest(pause)
        self._pausing = False
        return True

    @property
    def _holding(self) -> bool:
        return any(lane.busy for lane in self._lanes.values())

    def _look_around(self, monotonic: float) -> None:
        """Do periodic work: log left-out failures, observe other sessions, sweep the ready queues."""
        self._appending.failures.sum_up(monotonic)
        if monotonic - self._watched_at >= WATCH_INTERVAL_SECONDS:
            self._watched_at = monotonic
            self._holders_to_watch = self._detector.observe(self.view, self._sessions.ids, monotonic)
            # If appends take long, so do the claims of others: tasks they are about to claim must not be stolen.
            delay = min(
                max(STEAL_DELAY_SECONDS, STEAL_DELAY_APPENDS * self._appending.seconds), STEAL_DELAY_SECONDS_MAX
            )
            for lane in self._lanes.values():
                lane.ready.steal_delay = delay
                lane.ready.sweep(len(self.view.live))
                lane.ready.look_for_absent(self.view.sessions)

    def _enforce(self) -> None:
        """Compare running tasks with their timeouts every `enforce_ms`, by a timer and not in the turns.

        During an outage of the journal a turn does not end.
        """
        busy = [lane for lane in self._lanes.values() if lane.busy]
        for lane in busy:
            lane.executor.enforce(time.monotonic())
        self._enforcing = None
        if busy:
            self._enforcing = self._loop.call_later(self.settings.enforce_ms / 1_000, self._enforce)
            self._wake()

    def _departed(self, monotonic: float) -> list[Expire]:
        """Return, every `DEAD_PROCESSES_SECONDS`, the expiries of idle sessions here whose process has ended."""
        if monotonic < self._dead_processes_at or not self._joined() or self._draining_since is not None:
            return []
        self._dead_processes_at = monotonic + DEAD_PROCESSES_SECONDS
        return list(departed(self.view.all_sessions(), self._sessions.ids))

    def _situation(self, monotonic: float) -> Situation:
        draining, now = self._draining_since is not None, time.time()
        due = [] if draining else self._firing.due(now)
        return Situation(now, monotonic, self.settings.lease_seconds, self._sessions.standings, draining, due)

    async def _outcome_entries(self, monotonic: float) -> list[WorkerDraft]:
        """Return the outcomes to append; apply those that the task's thread has appended already."""
        draining, partition_of = self._draining_since is not None, self._journal.log.partition_of
        entries: list[WorkerDraft] = []
        for lane in self._lanes.values():
            for outcome in lane.outcomes(monotonic, draining=draining):
                if outcome.written is None:
                    entries += outcome_entries(outcome, partition_of)
                else:
                    entries += await self._appending.still_to_write(outcome.written, self._sessions)
        return entries + progress_entries(self._sessions.reported)

    async def _command_entries(self, commands: Sequence[Command]) -> list[WorkerDraft]:
        """Return the events to append for the commands."""
        if not commands:
            return []
        for command in commands:
            if isinstance(command, Expire):
                logger.warning("worker %s has been silent for its lease: its claims return", command.worker)
                self.statistics.expired_sessions += 1
        slots = sum(lane.executor.size for lane in self._lanes.values())
        rows = await self._submissions.of([each.task for each in commands if isinstance(each, Lapse)], ())
        return entries_of(commands, Desk(self._sessions, self._known, self.settings.lease_ms, slots, rows))

    # -- appending -------------------------------------------------------------------------------------------------

    async def _commit(self, entries: Sequence[WorkerDraft]) -> None:
        for part in within_limits(entries):
            await self._start_accepted(part, await self._appending.append(part, self._sessions))

    async def _start_accepted(self, entries: Sequence[WorkerDraft], events: Sequence[Event]) -> None:
        accepted: list[TaskState] = []
        for entry, event in zip(entries, events, strict=True):
            if not isinstance(entry.command, Claim):
                if isinstance(entry.command, Lapse) and entry.command.task.state is State.READY:
                    self._add_ready(entry.command.task)  # it was refused: the task was requeued, and lapses no more
                continue
            task = entry.command.task
            if task.run.claim == event.offset:
                accepted.append(task)
                continue
            self.statistics.lost_claims += 1
            if task.state is State.READY:  # refused as our session had ended, so no other worker has the task
                self._add_ready(task)
        if accepted:
            self.statistics.claimed += len(accepted)
            jobs = await self._jobs(accepted)
            if jobs:
                self._start(jobs)

    async def _jobs(self, claimed: Sequence[TaskState]) -> dict[str, list[Job]]:
        """Return the jobs of claimed tasks, by mechanism; a task whose submission is gone gets an outcome instead."""
        claims = [(task, task.run.claim, task.run.attempts - 1) for task in claimed]
        rows = await self._submissions.of(claimed, [lane.ready for lane in self._lanes.values()])
        jobs: dict[str, list[Job]] = {}
        kind: TaskKind | None = None
        for task, claim, prior_attempts in claims:
            if task.kind is not kind:  # usually once for many tasks
                kind = task.kind
                lease, mechanism = self._sessions[kind.partition], self._known.lane_of(kind.name)
            row = rows.get(task.id)
            if row is None:
                self._lanes[mechanism].end(gone(Job(task, lease, claim, b"", prior_attempts)))
            elif mechanism in jobs:
                jobs[mechanism].append(Job(task, lease, claim, row, prior_attempts))
            else:
                jobs[mechanism] = [Job(task, lease, claim, row, prior_attempts)]
        alone = not self._holding and not self._pace.is_stream(time.monotonic())
        if alone and not self._journal.log.needs_loop:
            everything = [job for accepted in jobs.values() for job in accepted]
            if len(everything) == 1:
                everything[0].over = SimpleQueue()
        return jobs

    def _start(self, jobs: Mapping[str, list[Job]]) -> None:
        if self._enforcing is None:
            self._enforcing = self._loop.call_later(self.settings.enforce_ms / 1_000, self._enforce)
        for mechanism, accepted in jobs.items():
            self._lanes[mechanism].start(accepted)
            if accepted[0].over is not None:
                self._lanes[mechanism].executor.stand_aside(accepted[0])

    # -- waiting ---------------------------------------------------------------------------------------------------

    async def _wait(self) -> None:
        """Wait for the first of a record, an outcome, or a timer."""
        for lane in self._lanes.values():
            lane.executor.nudge()
        self._reader.start_waiting(self._wake)
        pause = self._pause()
        timer = self._loop.call_later(pause, self._wake) if pause is not None else None
        await self._woken
        self._woken = self._loop.create_future()
        if timer is not None:
            timer.cancel()

    def _pause(self) -> float | None:
        """Return the seconds until the next action that no record or outcome announces; None if there is none."""
        monotonic, now = time.monotonic(), time.time()
        moments = [lane.next_moment(monotonic, now) for lane in self._lanes.values()]
        renewal = self.settings.lease_seconds * LEASE_RENEWAL_FRACTION
        moments += [acknowledged + renewal for acknowledged in self._sessions.acknowledged()]
        if self._watches():
            moments.append(monotonic + WATCH_INTERVAL_SECONDS)
        if self._draining_since is not None:
            moments.append(self._draining_since + self.settings.drain_seconds)
        elif (wait := self._firing.wait(now)) is not None:
            moments.append(monotonic + wait)
        if self._reader.patience is not None:
            moments.append(monotonic + self._reader.patience)
        moments += [self._appending.failures.due, self._sessions.reported.next_at]
        known = [moment for moment in moments if moment is not None]
        return max(0.0, min(known) - monotonic) if known else None

    def _watches(self) -> bool:
        """Return whether any session holds tasks, its silence thus to be observed."""
        return self._holders_to_watch or any(session.claims for session in self.view.all_sessions())

    def _wake(self) -> None:
        if not self._woken.done():
            self._woken.set_result(None)

    def _wake_from_thread(self) -> None:
        if self._pausing:
            return
        with suppress(RuntimeError):  # the event loop is closed: the task outlived the drain
            self._loop.call_soon_threadsafe(self._wake)

    # -- sharing ---------------------------------------------------------------------------------------------------

    def _runs(self, task_name: str, queue: str) -> bool:
        """Return whether this worker claims tasks of that name in that queue."""
        return self._known.knows(task_name) and self._known.selection.serves(queue, task_name)

    def _add_ready(self, task: TaskState) -> None:
        self._arrived += 1
        try:
            ready = self._ready_of[task.kind]
        except KeyError:
            ready = self._ready_for(task.kind)
        if ready is not None:
            ready.add(task)

    def _ready_for(self, kind: TaskKind) -> ReadyTasks | None:
        """Return the queue of ready tasks for a kind; None if this worker does not run it."""
        if len(self._ready_of) >= READY_KINDS_REMEMBERED:
            self._ready_of.clear()
        ready = self._lanes[self._known.lane_of(kind.name)].ready if self._known.runs(kind) else None
        self._ready_of[kind] = ready
        return ready

    def _share_work_anew(self) -> None:
        """Update the ready queues after the set of workers or of paused queues has changed."""
        self._sessions.changed = False
        for lane in self._lanes.values():
            lane.ready.set_workers(self._sessions.workers, self.view.sessions)
            lane.ready.set_paused(self.view.paused)
