"""Start claimed tasks: find which claims the log has accepted, read the submissions, hand the jobs to their lanes."""

import threading
import time
from collections.abc import Mapping, Sequence

from ...journal.async_journal import AsyncJournal
from ...journal.event import Draft, Event
from ...tasks.state.state import TaskKind, TaskState
from ...tasks.state.transitions import State
from ..executors.pipeline import Job, gone
from ..scheduling.commit_pace import CommitPace
from ..scheduling.decide import Claim
from ..settings import WorkerCounts
from .drafts import WorkerDraft
from .known_tasks import KnownTasks
from .lanes import Lanes
from .sessions import OwnSessions
from .submissions import Submissions

# An accepted claim: the task, the claim's offset, the attempts before it, and its draft.
_Accepted = tuple[TaskState, int, int, Draft]


class ClaimedTasks:
    """Starts the tasks that one worker loop has claimed, and counts won and lost claims in `counts`."""

    def __init__(
        self,
        journal: AsyncJournal,
        known: KnownTasks,
        lanes: Lanes,
        submissions: Submissions,
        pace: CommitPace,
        counts: WorkerCounts,
    ) -> None:
        self._journal = journal
        self._known = known
        self._lanes = lanes
        self._submissions = submissions
        self._pace = pace
        self._counts = counts

    async def start(self, entries: Sequence[WorkerDraft], events: Sequence[Event], sessions: OwnSessions) -> bool:
        """Start each task whose claim is among these appended events and was accepted; return whether any was.

        If a claim was refused and its task is still ready, the task is filed again.
        """
        accepted: list[_Accepted] = []
        for entry, event in zip(entries, events, strict=True):
            if not isinstance(entry.command, Claim):
                continue
            task = entry.command.task
            if task.run.claim == event.offset:
                accepted.append((task, event.offset, task.run.attempts - 1, entry.draft))
                continue
            self._counts.lost_claims += 1
            if task.state is State.READY:  # refused as our session had ended, so no other worker has the task
                self._lanes.add_ready(task)
        if not accepted:
            return False
        self._counts.claimed += len(accepted)
        jobs = await self._jobs(accepted, sessions)
        for mechanism, started in jobs.items():
            self._lanes[mechanism].start(started)
            if started[0].over is not None:
                self._lanes[mechanism].executor.stand_aside(started[0])
        return bool(jobs)

    async def _jobs(self, claims: Sequence[_Accepted], sessions: OwnSessions) -> Mapping[str, list[Job]]:
        """Return the jobs of claimed tasks, by mechanism; a task whose submission is gone gets an outcome instead."""
        rows = await self._submissions.of([claim[0] for claim in claims], [lane.ready for lane in self._lanes])
        jobs: dict[str, list[Job]] = {}
        kind: TaskKind | None = None
        for (task, claim, prior_attempts, draft), row in zip(claims, rows, strict=True):
            if task.kind is not kind:  # usually once for many tasks
                kind = task.kind
                lease, mechanism = sessions[kind.partition], self._known.lane_of(kind.name)
            if row is None:
                self._lanes[mechanism].end(gone(Job(task, lease, claim, b"", prior_attempts)))
            elif mechanism in jobs:
                jobs[mechanism].append(Job(task, lease, claim, row, prior_attempts, None, draft))
            else:
                jobs[mechanism] = [Job(task, lease, claim, row, prior_attempts, None, draft)]
        alone = not self._lanes.busy and not self._pace.is_stream(time.monotonic())
        if alone and not self._journal.log.needs_loop:
            everything = [job for accepted in jobs.values() for job in accepted]
            if len(everything) == 1:
                everything[0].over = _held_lock()
        return jobs


def _held_lock() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock
