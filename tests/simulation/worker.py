"""A worker in virtual time: the shell of the loop, round the real view, ready tasks, failure detector and decision."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from journeyman.journal.event import Draft
from journeyman.journal.limits import LEASE_START_FRACTION
from journeyman.workers import Settings, State, TaskState, TaskView
from journeyman.workers.crew.pipeline import Job, Lease, Outcome
from journeyman.workers.foreman.entries import (
    Entry,
    beat_entry,
    claim_entry,
    expire_entry,
    join_entry,
    leave_entry,
    outcome_entry,
)
from journeyman.workers.foreman.reader import longest_pause
from journeyman.workers.rules import names
from journeyman.workers.rules.decide import Beat, Claim, Command, Expire, Join, Situation, Standing, decide
from journeyman.workers.rules.failure_detector import FailureDetector
from journeyman.workers.rules.ready import ReadyTasks
from journeyman.workers.rules.selection import rank_in

if TYPE_CHECKING:
    from .log import Position
    from .world import World

PLACES = 2
AHEAD = 2
EPOCH = 1_800_000_000.0


class SimulatedWorker:
    """One process: it may pause, crash, drain, and its wall clock may be wrong."""

    def __init__(self, world: "World", number: int) -> None:
        self.world, self.number = world, number
        self.view = TaskView(keeps=lambda _name, _queue: True)
        self.selection = world.selection(number)
        self.ready = ReadyTasks(selection=self.selection)
        self.detector = FailureDetector(world.lease)
        self.failing = False
        self.applied = [0] * len(world.log.partitions)
        self.joins = self.seq = 0
        self.leases = {place: self._lease(place) for place in range(len(self.applied))}
        self.clock_offset = 0.0
        self.gone = self.draining = self.leaving = self.busy = self.scheduled = False
        self.paused_until = self.drain_until = self.blind_until = 0.0
        self.awake_since = world.now
        self.missed: list[Callable[[], None]] = []
        self.waiting: list[Job] = []
        self.running: list[Job] = []
        self.outcomes: list[Outcome] = []
        self.shared = True
        self._begin()

    def _lease(self, place: int) -> Lease:
        self.joins += 1
        lease = Lease(f"w{self.number}.{self.joins}", place)
        self.world.referee.owners[lease.worker] = self
        return lease

    def _begin(self) -> None:
        for place in range(len(self.applied)):
            self._apply(place, None)
        self._share()
        for task in sorted(self.view.live.values(), key=lambda each: each.submitted):
            if task.state is State.READY:
                self.ready.add(task)
        self.view.on_ready = self.ready.add
        self.view.on_sessions = self._sessions_changed
        self.wake(0.0)

    # -- time --------------------------------------------------------------------------------------------------------

    @property
    def wall(self) -> float:
        """What its clock on the wall shows."""
        return EPOCH + self.world.now + self.clock_offset

    @property
    def asleep(self) -> bool:
        """Whether it stands still."""
        return self.world.now < self.paused_until

    def pause(self, seconds: float) -> None:
        """Stand still, as after SIGSTOP; what the world has for it happens when it goes on."""
        self.paused_until = max(self.paused_until, self.world.now + seconds)
        self.awake_since = self.paused_until
        self.world.after(self.paused_until - self.world.now, self._go_on)

    def rouse(self) -> None:
        """Go on now, if it stands still."""
        if self.asleep:
            self.paused_until = self.awake_since = self.world.now
            self._go_on()

    def _go_on(self) -> None:
        if not self.asleep:
            missed, self.missed = self.missed, []
            for call in missed:
                call()

    def drain(self, seconds: float) -> None:
        """Claim nothing more, let run what runs for so long, then leave, as after SIGTERM."""
        self.draining, self.drain_until = True, self.world.now + seconds
        self.world.after(seconds, lambda: self.wake(0.0))
        self.wake(0.0)

    def wake(self, seconds: float) -> None:
        """Take a turn in so many seconds, unless one is due anyway."""
        if not (self.scheduled or self.busy or self.gone):
            self.scheduled = True
            self.world.after(seconds, self._turn)

    def _when_awake(self, seconds: float, call: Callable[[], None]) -> None:
        def happen() -> None:
            if self.gone:
                return
            if self.asleep:
                self.missed.append(happen)
            else:
                call()

        self.world.after(seconds, happen)

    # -- a turn ------------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        if self.asleep:
            self.missed.append(self._turn)
            return
        self.scheduled = False
        if self.gone or self.busy:
            return
        self._read()
        if self.shared:
            self._share()
        self.detector.observe(self.view, frozenset(lease.worker for lease in self.leases.values()), self.world.now)
        self.ready.sweep(len(self.view.live))
        self.ready.look_for_absent(self.view.sessions)
        if self.draining:
            self.outcomes += [Outcome(job, names.INTERRUPTED) for job in self.waiting]
            self.waiting = []
        entries = [outcome_entry(outcome) for outcome in self.outcomes]
        self.outcomes = []
        entries += [self._entry(command) for command in self._decide()]
        if self.draining and not entries and (not self.running or self.world.now >= self.drain_until):
            self.leaving = True
            entries = [leave_entry(lease) for place, lease in self.leases.items() if self._joined(place)]
            if not entries:
                self.gone = True
        if entries:
            self._append(entries)
        else:
            self._rest()

    def _decide(self) -> list[Command]:
        standings = {place: Standing(lease.worker, lease.acknowledged_at) for place, lease in self.leases.items()}
        free = PLACES + AHEAD - len(self.waiting) - len(self.running)
        situation = Situation(self.wall, self.world.now, self.world.lease, standings, self.draining)
        commands = decide(self.view, [(self.ready, free)], self.detector, situation)
        claims = [command.task for command in commands if isinstance(command, Claim)]
        check = self.world.referee.check
        check(len(claims) <= max(0, free), "it claims more than it has room for")
        check(not (claims and self.draining), "it claims although it drains")
        self.world.referee.claims_suspects(claims, self.view, {lease.worker for lease in self.leases.values()})
        check(len({task.id for task in claims}) == len(claims), "it claims a task twice at once")
        for task in claims:
            self.world.referee.claims(task, self.wall)
            queues, only = self.selection.queues, self.selection.tasks.get(task.queue)
            chosen = (queues is None or task.queue in queues) and (only is None or task.name in only)
            check(chosen, f"it claims {task.id} from {task.queue} and serves {queues}")
        self._check_order(claims)
        return commands

    def _check_order(self, claims: list[TaskState]) -> None:
        """What it prefers comes first, and within that the better priority; with turns, within each queue."""
        if self.selection.ageing_ms:
            return
        ranks = self.selection.ranks()
        shelves: dict[str, list[tuple[int, int]]] = {}
        for task in claims:
            shelf = task.queue if self.selection.order == "fair" else ""
            shelves.setdefault(shelf, []).append((rank_in(ranks, task.queue, task.name), task.priority))
        for order in shelves.values():
            self.world.referee.check(order == sorted(order), f"it claims by these places and priorities: {order}")

    def _rest(self) -> None:
        """Sleep until something is due; what lands in the log wakes it anyway."""
        moments: list[float] = []
        if any(session.claims for session in self.view.all_sessions()):
            moments.append(self.world.lease / 20)
        if len(self.waiting) + len(self.running) < PLACES + AHEAD and not self.draining:
            due, steal_at = self.ready.next_due(), self.ready.steal_at()
            moments += [due - self.wall] if due is not None else []
            moments += [steal_at - self.world.now] if steal_at is not None else []
        if moments:
            self.wake(max(0.001, min(moments)))

    def _joined(self, place: int) -> bool:
        return self.view.session(place, self.leases[place].worker) is not None

    def _share(self) -> None:
        self.shared = False
        self.ready.set_workers({place: lease.worker for place, lease in self.leases.items()}, self.view.sessions)

    def _sessions_changed(self) -> None:
        self.shared = True

    # -- reading -----------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        world = self.world
        if world.now < self.blind_until:
            self.wake(self.blind_until - world.now)
            return
        away = [place for place in range(len(self.applied)) if world.log.away(place)]
        if away and world.log.refuses:
            self.detector.failure_began()
            self.detector.failure_ended()
        lag = world.random.uniform(0, 0.2) if world.faults and world.random.random() < 0.1 else 0.0
        for place in range(len(self.applied)):
            page = None if place in away else world.log.page(place, self.applied[place], world.now - lag)
            if page is not None:
                self.view.apply_page(page)
                self.applied[place] = page.next_offset
                if lag:
                    self.wake(lag)

    def _apply(self, place: int, end: int | None) -> None:
        page = self.world.log.page(place, self.applied[place], self.world.now, end)
        if page is not None:
            self.view.apply_page(page)
            self.applied[place] = page.next_offset

    # -- appending ---------------------------------------------------------------------------------------------------

    def _entry(self, command: Command) -> Entry:
        match command:
            case Claim(task):
                return claim_entry(command, self.leases[task.partition])
            case Beat(place):
                return beat_entry(command, self.leases[place])
            case Expire(place):
                return expire_entry(command, self.leases[place])
            case Join(place):
                if self.leases[place].spent:
                    self.leases[place] = self._lease(place)
                    self.shared = True
                self.leases[place].spent = True
                return join_entry(command, self.leases[place], self._settings(), ["work"], PLACES)

    def _settings(self) -> Settings:
        chosen = self.selection
        queues = {queue: chosen.tasks.get(queue) for queue in chosen.queues} if chosen.queues is not None else None
        settings = Settings(
            queues=queues,
            queue_order=chosen.order,
            queue_weights=chosen.weights,
            priority_ageing_ms=chosen.ageing_ms or None,
            lease_ms=int(self.world.lease * 1_000),
        )
        self.world.referee.check(settings.selection == chosen, "a worker says something else than it does")
        return settings

    def _append(self, entries: list[Entry]) -> None:
        self.busy = True
        begun = self.world.now
        drafts = [entry.draft for entry in entries]
        for draft in drafts:
            self._number(draft)

        def attempt() -> None:
            self.world.log.append(drafts, lambda positions: self._when_awake(0.0, lambda: answered(positions)))

        def answered(positions: "list[Position] | None") -> None:
            if positions is not None:
                if self.failing:
                    self.failing = False
                    self.detector.failure_ended()
                self._appended(entries, positions, begun)
                return
            if not self.failing:
                self.failing = True
                self.detector.failure_began()
            self._when_awake(longest_pause(self.world.lease) * self.world.random.uniform(0.5, 1.0), attempt)

        attempt()

    def _number(self, draft: Draft) -> None:
        self.seq += 1
        draft.writer, draft.seq = f"writer-{self.number}", self.seq

    def _appended(self, entries: list[Entry], positions: "list[Position]", begun: float) -> None:
        world = self.world
        self.busy = False
        for place in sorted({place for place, _ in positions}):
            own = [(entry, at) for entry, (where, at) in zip(entries, positions, strict=True) if where == place]
            self._apply(place, max(own[0][1], self.applied[place]))
            for entry, at in own:
                if at >= self.applied[place]:
                    self.view.apply_fact(entry.draft.name, entry.fact, place, at, world.now)
                    self.applied[place] = at + 1
                if isinstance(entry.command, Beat) and entry.command.probe:
                    self.detector.probed(self.view, place)
            self.leases[place].renew(begun, world.lease * LEASE_START_FRACTION)
        if self.leaving:
            self.gone = True  # and what still runs ends with it
            return
        for entry, (place, at) in zip(entries, positions, strict=True):
            if isinstance(entry.command, Claim):
                self._claimed(entry.command.task, place, at)
        self._start()
        self.wake(0.0)

    def _claimed(self, task: TaskState, place: int, at: int) -> None:
        if task.claim == at:
            self.waiting.append(
                Job(task, self.leases[place], at, self.view.rows.get(task.id) or b"", task.attempts - 1)
            )
        elif task.state is State.READY:
            self.ready.add(task)

    # -- the crew ----------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        while self.waiting and len(self.running) < PLACES:
            job = self.waiting.pop(0)
            if not job.may_start:
                self.outcomes.append(Outcome(job, names.INTERRUPTED))
                continue
            self.world.referee.started(job)
            script = self.world.scripts[job.state.id]
            if script.kills and self.world.faults:
                self.crash()
                return
            self.running.append(job)
            self._when_awake(script.seconds, lambda job=job: self._ended(job))  # type: ignore[misc]

    def _ended(self, job: Job) -> None:
        self.running.remove(job)
        fails = self.world.random.random() < self.world.scripts[job.state.id].failing
        if not fails:
            self.outcomes.append(Outcome(job, names.SUCCEEDED))
        elif job.state.max_retries is None or job.prior_attempts < job.state.max_retries:
            due = self.wall + self.world.random.choice([0.0, 0.1, 3.0]) * self.world.lease
            self.outcomes.append(Outcome(job, names.RETRIED, b',"due":%.6f' % due, round(due, 6)))
        else:
            self.outcomes.append(Outcome(job, names.FAILED))
        self._start()
        self.wake(0.0)

    def crash(self) -> None:
        """End without a word; what is on its way to the log may still land."""
        self.gone = True
        self.world.after(self.world.random.uniform(0, 2 * self.world.lease), self.world.hire)
