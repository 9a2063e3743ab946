"""What a worker does next: one pure function from what it knows to what it wants appended."""

from collections.abc import Mapping
from typing import NamedTuple

from ..journal.limits import CLAIM_AHEAD_SECONDS, CLAIMS_MAX, LEASE_RENEWAL_FRACTION
from .ready import ReadyTasks
from .transitions import State
from .view import TaskState, TaskView
from .watch import Watch


class Join(NamedTuple):
    """Open a session in a partition."""

    partition: int


class Beat(NamedTuple):
    """Show a sign of life in a partition; `probe` if it is to tell the silent from the merely delayed."""

    partition: int
    probe: bool = False


class Claim(NamedTuple):
    """Claim a task."""

    task: TaskState


class Expire(NamedTuple):
    """End the session of a worker that is gone, as of its event at `last`."""

    partition: int
    worker: str
    last: int


Command = Join | Beat | Claim | Expire


class Standing(NamedTuple):
    """How the worker stands in one partition: its session, and when (monotonic) its last append there was begun."""

    worker: str
    acknowledged_at: float


class Situation(NamedTuple):
    """What the decision depends on beside the view.

    `now` is the wall clock, by which delays are due; `monotonic` measures silence. `free` is how many more tasks it has
    room for. `draining`: it takes on nothing new.
    """

    now: float
    monotonic: float
    free: int
    lease_seconds: float
    standings: Mapping[int, Standing]
    draining: bool = False


def decide(view: TaskView, ready: ReadyTasks, watch: Watch, situation: Situation) -> list[Command]:
    """What to append now; an empty list means that there is nothing to do but wait."""
    commands: list[Command] = []
    joined = {
        partition
        for partition, standing in situation.standings.items()
        if view.session(partition, standing.worker) is not None
    }
    claims: list[Claim] = []
    if not situation.draining:
        commands += [Join(partition) for partition in situation.standings if partition not in joined]
        if situation.free > 0 and joined:
            claims = _claims(ready, situation, joined)
    commands += claims
    commands += _beats(view, watch, situation, joined, {claim.task.partition for claim in claims})
    commands += [Expire(*suspect) for suspect in watch.suspects(view) if suspect.partition in joined]
    return commands


def _claims(ready: ReadyTasks, situation: Situation, joined: set[int]) -> list[Claim]:
    tasks = ready.take(situation.free, situation.now, situation.monotonic)
    for task in tasks:
        if task.partition not in joined:
            ready.add(task)  # its turn comes when the session there is open
    return [Claim(task) for task in tasks if task.partition in joined and task.state is State.READY]


def _beats(view: TaskView, watch: Watch, situation: Situation, joined: set[int], claiming: set[int]) -> list[Beat]:
    """Beats that are due: where it holds claims and has been silent for a third of the lease, or wants to probe."""
    probes = watch.to_probe(view, situation.monotonic) & joined
    beats = [Beat(partition, probe=True) for partition in sorted(probes)]
    for partition in sorted(joined - probes - claiming):
        standing = situation.standings[partition]
        session = view.session(partition, standing.worker)
        silent = situation.monotonic - standing.acknowledged_at
        if session is not None and session.claims and silent >= situation.lease_seconds * LEASE_RENEWAL_FRACTION:
            beats.append(Beat(partition))
    return beats


def room(threads: int, job_seconds: float) -> int:
    """How many tasks a worker should hold: one for each thread, and ahead of them a moment's worth of its own pace."""
    ahead = threads * CLAIM_AHEAD_SECONDS / max(job_seconds, 1e-6)
    return min(CLAIMS_MAX, threads + int(ahead)) if ahead >= 1 else min(CLAIMS_MAX, threads)
