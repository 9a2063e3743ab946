"""The sessions of remote workers: join, claim, beat, leave.

The log decides as for every other worker: the service appends events on a worker's behalf and reads back what became of
them. It keeps nothing of a worker that is not in the log, so a worker may use any process of the service.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import anyio

from ...journal.errors import JournalError
from ...journal.event import Draft, encode_context
from ...tasks.limits import LEASE_RENEWAL_FRACTION
from ...tasks.message import new_id
from ...tasks.state import names
from ...tasks.state.routing import routing_key
from ...tasks.state.state import SessionState, TaskState
from ..answers import problem_at
from ..backend import Backend
from ..limits import REMOTE_IDLE_BEAT_SECONDS
from .appending import append_and_apply
from .bodies import Claim, Join, Joined
from .counts import RemoteCounts
from .idle import IdleSessions
from .outcomes import Reports
from .ready import ReadyTasks
from .watch import SessionWatch

Sessions = Mapping[int, SessionState]


class RemoteWorkers:
    """Opens and keeps sessions for remote workers, and claims tasks for them; `reports` takes their outcomes."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.counts = RemoteCounts()
        self.reports = Reports(backend, self.counts)
        self._idle = IdleSessions()
        self._ready: ReadyTasks | None = None
        self._arrival = anyio.Event()
        # The tasks that requests in progress have claimed, by worker: they are not handed out twice.
        self._in_hand: dict[str, set[str]] = {}
        self._leaving: set[str] = set()

    async def run(self) -> None:
        """Watch over all sessions until the service stops; then no request waits for tasks any more."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(SessionWatch(self.backend, self._idle, self.counts).run)
            await self.backend.stopping.wait()
            self._arrival.set()
            tasks.cancel_scope.cancel()

    # -- sessions ------------------------------------------------------------------------------------------------------

    async def join(self, asked: Join, host: str) -> Joined:
        """Open a session in each partition."""
        worker = new_id()
        context = _joined(worker, asked.host or host, asked)
        await append_and_apply(
            self.backend,
            [_about_worker(names.JOINED, worker, each, context) for each in await self._partitions()],
        )
        return Joined(worker, asked.lease_ms, round(asked.lease_ms * LEASE_RENEWAL_FRACTION))

    def sessions(self, worker: str) -> Sessions:
        """Return the live sessions of a worker, by partition; `Problem` 410 if it has none."""
        found = {
            partition: session
            for partition, sessions in self.backend.view.sessions.items()
            if (session := sessions.get(worker)) is not None
        }
        if not found:
            raise problem_at(
                self.backend.cursor,
                410,
                "session-ended",
                f"the session {worker} has ended, or never was: it left, or was silent for longer than its lease. What "
                "it held has gone back to the queue; join anew",
            )
        return found

    async def _whole_session(self, worker: str) -> Sessions:
        """Return the sessions of a worker in all partitions; one that was silent in a partition alone is opened anew.

        Its claims there have gone back to the queue. Without a session there it would never be given a task of that
        partition again, however often it asks.
        """
        found = self.sessions(worker)
        missing = [each for each in await self._partitions() if each not in found]
        if not missing or worker in self._leaving:
            return found
        known = next(iter(found.values()))
        context = _joined(worker, known.host, known)
        await append_and_apply(self.backend, [_about_worker(names.JOINED, worker, each, context) for each in missing])
        return self.sessions(worker)

    async def _partitions(self) -> range:
        return range((await self.backend.journal.open()).partitions)

    async def beat(self, worker: str) -> list[str]:
        """Renew the lease of a worker; return the ids of the tasks that it holds."""
        places = self.sessions(worker)
        await append_and_apply(self.backend, [_about_worker(names.BEAT, worker, each) for each in places])
        return [task for session in self.sessions(worker).values() for task in session.claims]

    async def leave(self, worker: str) -> None:
        """End a session: what it holds goes back to the queue, and no attempt is used."""
        places = self.sessions(worker)
        self._leaving.add(worker)
        try:
            await append_and_apply(self.backend, [_about_worker(names.LEFT, worker, each) for each in places])
        finally:
            self._leaving.discard(worker)
        self.counts.interrupted += sum(len(session.claims) for session in places.values())

    # -- claims --------------------------------------------------------------------------------------------------------

    async def claim(self, asked: Claim) -> list[TaskState]:
        """Claim tasks for a worker, and wait for some if there are none; empty if none came in time."""
        in_hand = self._in_hand.setdefault(asked.worker, set())
        mine: set[str] = set()
        try:
            return await self._claim(asked, in_hand, mine)
        finally:
            in_hand -= mine
            if not in_hand:
                self._in_hand.pop(asked.worker, None)

    async def _claim(self, asked: Claim, in_hand: set[str], mine: set[str]) -> list[TaskState]:
        deadline = anyio.current_time() + asked.wait
        known = set(asked.holding)
        while True:
            sessions = await self._whole_session(asked.worker)
            held = [task for session in sessions.values() for task in session.claims.values()]
            again = [task for task in held if task.id not in known and task.id not in in_hand][: asked.limit]
            if again:
                return again
            arrival, news = self._next_arrival(), self.backend.news
            taken = self._ready_tasks().take(sessions, asked.limit, time.time())
            mine.update(task.id for task in taken.tasks)
            in_hand.update(mine)
            if won := await self._append_claims(asked.worker, taken.tasks):
                return won
            # Of a queue that is paused any event may be the resumption.
            events = news if taken.held_back else arrival
            if not taken.tasks and not await self._wait_for_tasks(asked.worker, events, deadline):
                return []

    async def claim_task(self, worker: str, task: TaskState) -> bool:
        """Claim a certain task that is ready, for a worker; return whether it holds the task now."""
        in_hand = self._in_hand.setdefault(worker, set())
        in_hand.add(task.id)
        try:
            await self._whole_session(worker)
            return bool(await self._append_claims(worker, [task]))
        finally:
            in_hand.discard(task.id)
            if not in_hand:
                self._in_hand.pop(worker, None)

    def _next_arrival(self) -> anyio.Event:
        """Return the event that is set when the next task becomes ready, or the service stops."""
        if self._arrival.is_set() and not self.backend.stopping.is_set():
            self._arrival = anyio.Event()
        return self._arrival

    def _ready_tasks(self) -> ReadyTasks:
        """Return the ready tasks of the present view; it is made for the first worker that claims."""
        view = self.backend.view
        if self._ready is None or self._ready.view is not view:
            self._ready = ReadyTasks(view)
            view.on_ready = self._note_ready
        return self._ready

    def _note_ready(self, task: TaskState) -> None:
        if self._ready is not None:
            self._ready.add(task)
            self._arrival.set()

    async def _append_claims(self, worker: str, tasks: Sequence[TaskState]) -> list[TaskState]:
        """Append claims and return the tasks of those that were accepted: others were claimed by another worker."""
        view, now = self.backend.view, time.time()
        lapsed = [task for task in tasks if view.expiries and view.expiries.get(task.id, now + 1) <= now]
        for task in lapsed:
            await self.backend.lookup.lapse(await self.backend.lookup.find(task.id))
        wanted = [task for task in tasks if task not in lapsed]
        drafts = [_claim_draft(task, worker) for task in wanted]
        try:
            events = await append_and_apply(self.backend, drafts)
        except JournalError:
            if self._ready is not None:
                self._ready.put_back(wanted)
            raise
        found = [(self.backend.view.find(task.id), event) for task, event in zip(wanted, events, strict=True)]
        won = [task for task, event in found if task is not None and task.claim == event.offset]
        self.counts.claims(len(found), len(won))
        return won

    async def _wait_for_tasks(self, worker: str, events: anyio.Event, deadline: float) -> bool:
        """Wait until there may be tasks for a worker; return False at the deadline, or if the service stops."""
        await self._show_idle_worker(self.sessions(worker))
        due = None if self._ready is None else self._ready.next_due()
        rest = deadline - anyio.current_time()
        pause = rest if due is None else min(rest, due - time.time())
        with anyio.move_on_after(max(pause, 0.0)):
            await events.wait()
        return anyio.current_time() < deadline and not self.backend.stopping.is_set()

    async def _show_idle_worker(self, sessions: Sessions) -> None:
        """Append a beat for a worker that has written nothing for long: it is alive, since it asks."""
        for partition, session in sessions.items():
            if self._idle.silence_of(session, time.monotonic()) >= REMOTE_IDLE_BEAT_SECONDS:
                await append_and_apply(self.backend, [_about_worker(names.BEAT, session.worker, partition)])


def _about_worker(name: str, worker: str, partition: int, context: Mapping[str, Any] | None = None) -> Draft:
    return Draft(name, encode_context(name, {"worker": worker} if context is None else context), worker, partition)


def _joined(worker: str, host: str, terms: Join | SessionState) -> dict[str, Any]:
    """Return the context of a `worker.joined` event: of a request, or of a session like the one that is known."""
    return {
        "worker": worker,
        "host": host,
        "pid": 0,  # no process of this machine: it is judged by its signs of life alone
        "machine": "",
        "lease_ms": terms.lease_ms,
        "slots": terms.slots,
        "queues": terms.queues,
        "tasks": terms.tasks,
    }


def _claim_draft(task: TaskState, worker: str) -> Draft:
    context = encode_context(names.CLAIMED, {"task": task.id, "worker": worker})
    return Draft(names.CLAIMED, context, routing_key(task.id), task.partition)
