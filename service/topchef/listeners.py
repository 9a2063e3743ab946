"""The sessions of listeners, in which they hold jobs: by the rules of remote workers.

A listener that sends an id has a session of its own. The original client sends none; for such listeners the service in
question has one session, which holds the jobs that they report as WORKING, and each of their requests about that
service is a sign of life. The session's queue and host in the log say whose it is, so any process of the service
finds it.
"""

import time
from collections.abc import Iterator
from typing import Final

import anyio

from ...tasks.limits import LEASE_MS_MAX, LEASE_RENEWAL_FRACTION
from ...tasks.state.services import Service
from ...tasks.state.state import SessionState, TaskState
from ...tasks.state.transitions import State
from ..limits import (
    TOPCHEF_CHECK_IN_SECONDS,
    TOPCHEF_JOB_SECONDS_MAX,
    TOPCHEF_QUEUE_JOBS,
    TOPCHEF_SERVICE_LEASE_MS_MIN,
    TOPCHEF_SERVICE_LEASE_TIMEOUTS,
)
from ..problems import Problem
from ..remote.bodies import Claim as TaskClaim
from ..remote.bodies import Join
from ..remote.idle import is_remote
from ..remote.workers import RemoteWorkers
from .bodies import Claim

# The host that sessions name: that of a service, and of a listener with its id behind it.
_SERVICE: Final = "topchef"
_LISTENER: Final = "topchef listener "


class Listeners:
    """Finds, opens and renews the sessions of listeners, and claims jobs for them."""

    def __init__(self, remote: RemoteWorkers) -> None:
        self._remote = remote
        self._backend = remote.backend
        self._joining = anyio.Lock()
        # When (monotonic, in seconds) this process has appended a sign of life last, by session.
        self._beaten: dict[str, float] = {}

    async def claim(self, service: Service, asked: Claim) -> TaskState | None:
        """Claim a job for a listener, waiting for one; None if none came. The claim's position is its token."""
        deadline = anyio.current_time() + asked.wait
        while True:
            worker = await self._session(service, _LISTENER + asked.listener, asked.lease_ms)
            rest = max(0.0, deadline - anyio.current_time())
            try:
                tasks = await self._remote.claim(TaskClaim(worker=worker, wait=rest, holding=asked.holding))
            except Problem as problem:
                if problem.kind != "session-ended":
                    raise
                continue  # it was silent for too long, or a part of its session was: it joins anew
            return tasks[0] if tasks else None

    async def hold(self, service: Service, task: TaskState) -> bool:
        """Claim a certain job for a listener that does not name itself; return whether it is held now."""
        lease = max(TOPCHEF_SERVICE_LEASE_MS_MIN, round(TOPCHEF_SERVICE_LEASE_TIMEOUTS * service.timeout * 1_000))
        worker = await self._session(service, _SERVICE, min(lease, LEASE_MS_MAX))
        self._beaten[worker] = time.monotonic()
        return await self._remote.claim_task(worker, task)

    def is_ours(self, task: TaskState) -> bool:
        """Return whether a claimed job is held by its service, for a listener that does not name itself."""
        session = self._backend.view.session(task.partition, task.worker)
        return session is not None and session.host == _SERVICE

    async def show_life(self, service: Service, listener: str | None, *, works: bool) -> None:
        """Note a request of a listener: it renews the lease of what the listener holds, once a part of that is over.

        `works`: the request shows that the listener works on its jobs, while a check-in only shows that it exists.
        """
        host = _SERVICE if listener is None else _LISTENER + listener
        now = time.monotonic()
        for session in list(self._of(service.queue, host)):
            interval = session.lease_ms / 1_000 * LEASE_RENEWAL_FRACTION
            if listener is not None:  # it asks as often as it needs to be heard
                interval = min(interval, TOPCHEF_CHECK_IN_SECONDS)
            if not session.claims or (listener is None and not works and _is_stuck(session)):
                continue
            if self._is_due(session.worker, interval, now):
                await self._remote.beat(session.worker)

    def _is_due(self, worker: str, interval: float, now: float) -> bool:
        """Return whether this process has appended no sign of life of a session for so many seconds; note one now."""
        if now - self._beaten.get(worker, -interval) < interval:
            return False
        if len(self._beaten) > 2 * sum(map(len, self._backend.view.sessions.values())) + TOPCHEF_QUEUE_JOBS:
            self._beaten.clear()  # most of them have ended
        self._beaten[worker] = now
        return True

    async def _session(self, service: Service, host: str, lease_ms: int) -> str:
        """Return the session of a listener; a new one if it has none in some partition."""
        partitions = (await self._backend.journal.open()).partitions
        async with self._joining:  # two requests of one listener open one session
            places: dict[str, int] = {}
            for session in self._of(service.queue, host):
                places[session.worker] = places.get(session.worker, 0) + 1
            whole = [worker for worker, count in places.items() if count == partitions]
            if whole:
                return whole[-1]
            asked = Join(tasks=(service.queue,), queues=(service.queue,), lease_ms=lease_ms, slots=1, host=host)
            return (await self._remote.join(asked, host)).worker

    def _of(self, queue: str, host: str) -> Iterator[SessionState]:
        for session in self._backend.view.all_sessions():
            if session.host == host and session.queues == (queue,) and is_remote(session):
                yield session


def _is_stuck(session: SessionState) -> bool:
    now = time.time()
    return all(
        task.state is State.CLAIMED and now - task.changed_at > TOPCHEF_JOB_SECONDS_MAX
        for task in session.claims.values()
    )
