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
from typing import Any

from ...journal.async_journal import AsyncJournal
from ...journal.runtime.heap import return_large_blocks
from ...tasks.definition import Task
from ...tasks.failure_detector import FailureDetector
from ...tasks.limits import LEASE_RENEWAL_FRACTION, WATCH_INTERVAL_SECONDS
from ...tasks.state.state import TaskState
from ...tasks.state.transitions import State
from ...tasks.state.view import TaskView
from ..errors import OutcomesUnwritten
from ..executors import Executor
from ..executors.children.process import journals_of
from ..health.progress import WorkerHealth
from ..limits import STOP_IDLE_SECONDS, STOP_UNSTARTED_SECONDS
from ..scheduling.commit_pace import CommitPace
from ..scheduling.decide import Command, Expire, Lapse, Situation, decide
from ..scheduling.ready_queue import ReadyTasks
from ..settings import Settings, WorkerCounts
from .appender import Appender
from .bound_release import has_release
from .claimed import ClaimedTasks
from .drafts import WorkerDraft, WorkerFacts, appends_of, entries_of, leave_entry, outcome_entries, progress_entries
from .firing import Firing
from .hooks import OutcomeHooks
from .indexing import IndexKeeper
from .known_tasks import KnownTasks
from .lane import Lane
from .lanes import Lanes
from .mechanisms import ExecutorContext, executor_for
from .reader import JournalReader
from .session_watch import SessionWatch
from .sessions import OwnSessions
from .stream_rest import Rested, StreamRest
from .submissions import Submissions
from .timeouts import TimeoutTimer
from .timetable import Timetable

logger = logging.getLogger("journeyman.worker")


class WorkerLoop:
    """Runs `tasks` (by name) for `journal` until it is stopped. `known` are the same tasks, if they were looked up."""

    def __init__(
        self,
        journal: AsyncJournal,
        tasks: Mapping[str, Task[Any, Any]],
        settings: Settings | None = None,
        known: KnownTasks | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.counts = WorkerCounts()
        self._journal = journal
        self._known = KnownTasks(tasks, self.settings.selection) if known is None else known
        self.view = TaskView(keeps=self._known.may_run)
        self._lanes = Lanes(self._known, self.view)
        lease_seconds = self.settings.lease_seconds
        self._detector = FailureDetector(lease_seconds)
        self._reader = JournalReader(self.view, self._detector, lease_seconds)
        hooks, counts = OutcomeHooks(self._known.by_name), self.counts
        self._appending = Appender(journal, self._reader, self.view, self._detector, lease_seconds, counts, hooks)
        self._submissions = Submissions(self._reader, self.view)
        self._index = IndexKeeper(journal, lambda: self._reader.position)
        self._firing = Firing(journal, Timetable(self.view.schedules) if self.settings.fires_schedules else None)
        self._sessions = OwnSessions(self.view, ())
        self._left_level = logging.WARNING  # at which it says that tasks still ran when it left
        self._draining_since: float | None = None
        self._pace = CommitPace()
        self._rest = StreamRest(self._pace, self._lanes, self._reader, self.view)
        self._claimed = ClaimedTasks(journal, self._known, self._lanes, self._submissions, self._pace, counts)
        self._timeouts = TimeoutTimer(self._lanes, self.settings.enforce_ms / 1_000, self._wake)
        self._watch = SessionWatch(self.view, self._detector)
        self._is_waiting = False
        self._is_committing = False
        self._has_news = False  # whether a thread has brought some since the last turn began
        self._turned_at = 0.0
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
        not take the last events within `patience_seconds` after `stop`; a worker with nothing in hand then leaves
        without its last event.
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
            if self._owes:
                raise OutcomesUnwritten(self.left_behind()) from None
            missed = "the journal did not take its last event: its session ends when its lease is over"
            logger.warning("%s", missed if self._started else "stopped before it was ready")
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
            self._timeouts.close()
            self._appending.failures.sum_up(math.inf)
            self._lanes.close()
            await self._appending.aclose()
            await self._index.aclose()
            await self._reader.aclose()

    def stop(self) -> None:
        """Begin to drain: claim nothing more, give back unstarted tasks, let the others end. Call in the event loop."""
        if self._draining_since is not None:
            return
        self._draining_since = time.monotonic()
        logger.info("draining: %d running, up to %g s", self._lanes.running, self.settings.drain_seconds)
        if self._entered:
            idle = STOP_IDLE_SECONDS if self._started else STOP_UNSTARTED_SECONDS
            # An append under way may be a claim, which has to be returned; before the start it is none.
            owes = self._owes or (self._started and self._is_committing)
            patience = self.patience_seconds if owes else idle
            self._patience.reschedule(self._loop.time() + patience)
            self._wake()

    @property
    def _owes(self) -> bool:
        """Whether tasks run, or the journal has to take their outcomes or returns."""
        return self._lanes.busy or self._sessions.claims > 0

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
        claims, running = self._sessions.claims, self._lanes.running
        return (
            f"{max(0, claims - running):,} outcomes could not be written to the journal, and {running:,} tasks still "
            "run. Nothing is lost: these tasks return when the lease is over, and run again"
        )

    def in_loop(self) -> str:
        """Return the tasks that run in the event loop, by name and id; empty if none does."""
        return self._lanes.in_loop()

    def health(self) -> WorkerHealth | None:
        """Return the state for the health report; None until it works. Call in the event loop; causes a turn."""
        if not self._turned_at:
            return None
        self._wake()
        sessions, draining = self._sessions, self._draining_since is not None
        return WorkerHealth(
            sessions.worker,
            draining,
            self._turned_at,
            self._reader.position,
            sessions.claims,
            min(sessions.acknowledged(), default=None),
            self.settings.lease_seconds,
            self._lanes.start_failures(),
        )

    def _open_lanes(self) -> None:
        """Open a lane for each mechanism among the tasks."""
        for mechanism, tasks in self._lanes.tasks_by_mechanism().items():
            ready = ReadyTasks(tasks.__contains__, self._known.selection)
            self._lanes.open(mechanism, Lane(self._executor(mechanism, tasks), ready))

    def _executor(self, mechanism: str, tasks: Mapping[str, Task[Any, Any]]) -> Executor:
        journals = journals_of(self._known.by_name, self._journal.opening_url)
        context = ExecutorContext(self._wake, self._wake_from_thread, self._appending.write_alone, journals)
        return executor_for(mechanism, tasks, self.settings, context)

    def _begin(self, partitions: Sequence[int]) -> None:
        self._sessions = OwnSessions(self.view, partitions, self._wake_from_thread)
        self._known.compare(self.view.all_sessions())
        for task in sorted(self.view.live.values(), key=lambda each: each.submitted):
            if task.run.state is State.READY:
                self._lanes.add_ready(task)
        self.view.on_ready = self._lanes.add_ready
        self.view.sessions.on_change = self.view.paused.on_change = self._sessions.note_change

    def _joined(self) -> bool:
        return self._draining_since is not None or self._sessions.all_live()

    def _drained(self) -> bool:
        if self._draining_since is None:
            return False
        return not self._lanes.busy or time.monotonic() >= self._draining_since + self.settings.drain_seconds

    async def _leave(self) -> None:
        """Append the last outcomes and leave: remaining claims return at once and use up no attempt."""
        entries = await self._outcome_entries(time.monotonic())
        left = self.counts.left_running = self._lanes.in_hand
        if left:
            logger.log(self._left_level, "%d still running after %g s: given back", left, self.settings.drain_seconds)
        entries += [leave_entry(self._sessions[session.partition]) for session in self._sessions.live()]
        if entries:
            await self._commit(entries)

    # -- one turn --------------------------------------------------------------------------------------------------

    async def _turn(self) -> None:
        self._has_news = False  # first, as what comes from now on may be missed by this turn
        rested = await self._keep_pace()
        if rested is Rested.SETTLES:
            await self._settle()
            return
        # Without other work the next step is to wait, which begins with reading.
        await self._reader.read_what_came(look=rested is Rested.PERIOD or self._lanes.have_news)
        if self._sessions.changed:
            self._lanes.share_anew(self._sessions)
        self._turned_at = monotonic = time.monotonic()
        self._look_around(monotonic)
        entries = await self._outcome_entries(monotonic)
        self._rest.note_turn(monotonic, self._appending.seconds, holding=bool(entries) or self._lanes.busy)
        commands = decide(self.view, self._lanes.offers(monotonic), self._detector, self._situation(monotonic))
        if self._draining_since is None and self._watch.looks_for_processes(monotonic) and self._joined():
            commands += self._watch.departed(monotonic)
        ticks, commands = self._firing.take(commands, lambda: self._reader.position)
        entries += await self._command_entries(commands)
        if entries:
            await self._commit(entries)
        if ticks is not None:
            await self._reader.read_again(await self._firing.fire(ticks, self._reader.taking_appends))
        elif not entries and not self._drained():  # it may be by now, as outcomes were applied
            await self._wait()

    async def _keep_pace(self) -> Rested:
        """In a stream of tasks, rest so that some come and those in hand end before the next turn."""
        rested = await self._rest.take(draining=self._draining_since is not None)
        if rested is not Rested.NO:
            self._has_news = False  # outcomes of the rest are collected after it
        return rested

    async def _settle(self) -> None:
        """Append the outcomes of all that was in hand; what has come meanwhile is claimed when the period is over."""
        entries = await self._outcome_entries(time.monotonic())
        if entries:
            await self._commit(entries)
        self._rest.note_settled(time.monotonic())

    def _look_around(self, monotonic: float) -> None:
        """Do periodic work: log left-out failures, observe other sessions, sweep the ready queues."""
        self._appending.failures.sum_up(monotonic)
        if self._watch.is_due(monotonic):
            self._watch.observe(self._sessions.ids, monotonic)
            self._lanes.sweep(self._pace.steal_delay(monotonic))

    def _situation(self, monotonic: float) -> Situation:
        draining, now = self._draining_since is not None, time.time()
        due = [] if draining else self._firing.due(now)
        return Situation(now, monotonic, self.settings.lease_seconds, self._sessions.by_partition, draining, due)

    async def _outcome_entries(self, monotonic: float) -> list[WorkerDraft]:
        """Return the outcomes to append; apply those that the task's thread has appended already."""
        draining, partition_of = self._draining_since is not None, self._journal.log.partition_of
        entries: list[WorkerDraft] = []
        for lane in self._lanes:
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
        lapsed: list[TaskState] = []
        for command in commands:
            if isinstance(command, Expire):
                logger.warning("worker %s has been silent for its lease: its claims return", command.worker)
                self.counts.expired_sessions += 1
            elif isinstance(command, Lapse):
                lapsed.append(command.task)
        found = zip(lapsed, await self._submissions.of(lapsed, ()), strict=True) if lapsed else ()
        rows = {task.id: row for task, row in found if row is not None}
        return entries_of(
            commands, WorkerFacts(self._sessions, self._known, self.settings.lease_ms, self._lanes.slots, rows)
        )

    # -- appending -------------------------------------------------------------------------------------------------

    async def _commit(self, entries: Sequence[WorkerDraft]) -> None:
        self._is_committing = True  # an append that fails ends the loop
        for part in appends_of(entries):
            if has_release(part):
                await self._appending.append_with_release(part, self._sessions)
                continue
            events = await self._appending.append(part, self._sessions)
            if await self._claimed.start(part, events, self._sessions):
                self._timeouts.start()
        self._is_committing = False

    # -- waiting ---------------------------------------------------------------------------------------------------

    async def _wait(self) -> None:
        """Wait for the first of a record, an outcome, or a timer."""
        for lane in self._lanes:
            lane.executor.nudge()
        self._reader.start_waiting(self._wake)
        pause = self._pause()
        timer = self._loop.call_later(pause, self._wake) if pause is not None else None
        self._is_waiting = True  # set before the news are looked at, and read by threads after they have brought some
        if not self._has_news:
            await self._woken
            self._woken = self._loop.create_future()
        self._is_waiting = False
        if timer is not None:
            timer.cancel()

    def _pause(self) -> float | None:
        """Return the seconds until the next action that no record or outcome announces; None if there is none."""
        monotonic, now = time.monotonic(), time.time()
        moments = [lane.next_moment(monotonic, now) for lane in self._lanes]
        renewal = self.settings.lease_seconds * LEASE_RENEWAL_FRACTION
        moments += [acknowledged + renewal for acknowledged in self._sessions.acknowledged()]
        if self._watch.is_needed:
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

    def _wake(self) -> None:
        if not self._woken.done():
            self._woken.set_result(None)

    def _wake_from_thread(self) -> None:
        self._has_news = True
        if self._is_waiting:  # else the loop looks at the news before it waits: waking it would cost a thread switch
            with suppress(RuntimeError):  # the event loop is closed: the task outlived the drain
                self._loop.call_soon_threadsafe(self._wake)
