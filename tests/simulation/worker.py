"""A worker in virtual time: the product's own loop, on a simulated log, a simulated clock and simulated executors."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from journeyman.journal import AsyncJournal
from journeyman.journal.errors import JournalError
from journeyman.journal.event import Draft
from journeyman.tasks import TaskState, TaskView
from journeyman.tasks.definition import Task
from journeyman.tasks.failure_detector import FailureDetector
from journeyman.tasks.state import names
from journeyman.tasks.state.selection import rank_in
from journeyman.workers import Settings, WorkerLoop
from journeyman.workers.errors import OutcomesUnwritten
from journeyman.workers.executors import Executor
from journeyman.workers.scheduling.decide import Claim, Command, Situation, decide
from journeyman.workers.scheduling.ready_queue import ReadyTasks

from .executor import SimulatedExecutor
from .port import LogPort
from .process import ProcessLoop
from .stage import Member

if TYPE_CHECKING:
    import asyncio

    from .world import World

PLACES: Final = 2
HOSTS: Final = 2


class SimulatedLoop(WorkerLoop):
    """The worker's loop with executors in virtual time."""

    def __init__(self, worker: "SimulatedWorker", settings: Settings) -> None:
        super().__init__(AsyncJournal(worker.port), worker.world.tasks, settings)
        self.simulated = worker

    def _executor(self, mechanism: str, tasks: Mapping[str, Task[Any, Any]]) -> Executor:
        wake, places = self._wake_from_thread, self.settings.threads
        if mechanism == "process":
            wake, places = self._wake, self.settings.processes
        return SimulatedExecutor(places, tasks, wake, self.simulated)


class SimulatedWorker(Member):
    """One process: it may pause, crash, drain, and its wall clock may be wrong."""

    KIND = "worker"
    world: "World"

    def __init__(self, world: "World", number: int) -> None:
        super().__init__(world, number)
        self.selection = world.selection(number)
        self.host, self.pid = f"host{number % HOSTS}", 100 + number // HOSTS  # of two hosts, the numbers are the same
        self.loop = ProcessLoop(self, 1_000.0 * number)
        self.port = LogPort(self, notices=world.listeners.random() < world.ringing)
        self.sessions = 0
        self.draining = False
        self.drained_at = 0.0
        world.running = self
        self.worker_loop = SimulatedLoop(self, self._settings())
        self.loop.create_task(self.worker_loop.run()).add_done_callback(self._ended)

    def _settings(self) -> Settings:
        chosen = self.selection
        queues = {queue: chosen.tasks.get(queue) for queue in chosen.queues} if chosen.queues is not None else None
        settings = Settings(
            queues=queues,
            queue_order=chosen.order,
            queue_weights=chosen.weights,
            priority_ageing_ms=chosen.ageing_ms or None,
            lease_ms=int(self.world.lease * 1_000),
            threads=PLACES,
            processes=PLACES,
            enforce_ms=60_000,
            drain_seconds=min(604_800.0, self.world.listeners.choice([0.0, 0.3, 0.3, 1_000.0]) * self.world.lease),
        )
        self.world.referee.check(settings.selection == chosen, "a worker says something else than it does")
        return settings

    def new_session(self) -> str:
        """The id of another session of this worker."""
        self.sessions += 1
        worker = f"w{self.number}.{self.sessions}"
        self.world.referee.owners[worker] = self
        return worker

    # -- what happens to it ------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Be asked to end: as a task that runs ends, if one will and it can be arranged, since then much coincides."""
        limit = self.worker_loop.settings.drain_seconds
        ends = [end - self.loop.time() - limit for executor in self.executors() for _, _, end in executor.runs.values()]
        coming = [seconds for seconds in ends if seconds > 0.0]
        wait = min(coming) + self.world.listeners.choice([-0.000_001, 0.0, 0.000_001]) if coming else 0.0
        self.world.after(max(0.0, wait), lambda: self.loop.happen(self._stop))

    def _stop(self) -> None:
        if not self.gone:
            self.draining, self.drained_at = True, self.world.now + self.worker_loop.settings.drain_seconds
            self.worker_loop.stop()

    def crash(self) -> None:
        """End without a word, and have another one begin later."""
        super().crash()
        self.world.after(self.world.random.uniform(0, 2 * self.world.lease), self.world.hire)

    def executors(self) -> list[SimulatedExecutor]:
        """The executors that run its tasks."""
        executors = [lane.executor for lane in self.worker_loop._lanes]
        return [executor for executor in executors if isinstance(executor, SimulatedExecutor)]

    def _ended(self, run: "asyncio.Task[None]") -> None:
        if self.gone:
            return
        Member.crash(self)
        error = run.exception()
        if isinstance(error, OutcomesUnwritten) or (isinstance(error, JournalError) and not self.worker_loop._started):
            self.world.after(self.world.lease, self.world.hire)  # the journal is away: another begins later
        elif error is not None:
            self.failed(f"its loop ended by {error!r}")
        elif not self.draining:
            self.failed("its loop ended though it was not stopped")

    @property
    def knows_all(self) -> bool:
        """Whether it has read all that is in the log."""
        if not self.port.tails:
            return False  # it has not begun to read
        read = self.worker_loop._reader.position
        return all(read.get(place, 0) >= len(rows) for place, rows in enumerate(self.world.log.partitions))

    @property
    def knows_tasks(self) -> bool:
        """Whether it has left after all others had come to their end, and so knows of all tasks what became of them."""
        return self.draining and self.knows_all

    # -- what it does ------------------------------------------------------------------------------------------------

    def appends(self, drafts: Sequence[Draft]) -> None:
        """It is about to append these, perhaps once more."""
        if any(draft.name == names.LEFT and not draft.seq for draft in drafts):
            left = sum(lane.executor.outcomes + len(lane._returned) for lane in self.worker_loop._lanes)
            self.world.referee.check(
                not left, f"it leaves and does not say what became of {left} tasks that have ended"
            )
            early = self.drained_at - self.world.now > 0.000_5 and any(executor.runs for executor in self.executors())
            self.world.referee.check(not early, "it leaves before its time is over, and gives back what runs")

    def decides(
        self, view: TaskView, offers: Sequence[tuple[ReadyTasks, int]], detector: FailureDetector, now: Situation
    ) -> list[Command]:
        """Check the product's decision."""
        commands = decide(view, offers, detector, now)
        claims = [command.task for command in commands if isinstance(command, Claim)]
        check = self.world.referee.check
        check(len(claims) <= sum(max(0, free) for _, free in offers), "it claims more than it has room for")
        check(not (claims and self.draining), "it claims although it drains")
        sessions = {own.worker for own in now.sessions.values()}
        self.world.referee.claims_suspects(claims, view, sessions)
        check(len({task.id for task in claims}) == len(claims), "it claims a task twice at once")
        for task in claims:
            self.world.referee.claims(task, self.wall)
            queues, only = self.selection.queues, self.selection.tasks.get(task.queue)
            chosen = (queues is None or task.queue in queues) and (only is None or task.name in only)
            check(chosen, f"it claims {task.id} from {task.queue} and serves {queues}")
        for mechanism in sorted({self.world.tasks[task.name].mechanism for task in claims}):
            self._check_order([task for task in claims if self.world.tasks[task.name].mechanism == mechanism])
        return commands

    def _check_order(self, claims: list[TaskState]) -> None:
        """Check that preferred queues come first, then lower priorities; with round-robin, within each queue."""
        if self.selection.ageing_ms:
            return
        ranks = self.selection.ranks()
        shelves: dict[str, list[tuple[int, int]]] = {}
        for task in claims:
            shelf = task.queue if self.selection.order == "fair" else ""
            shelves.setdefault(shelf, []).append((rank_in(ranks, task.queue, task.name), task.priority))
        for order in shelves.values():
            self.world.referee.check(order == sorted(order), f"it claims by these places and priorities: {order}")
