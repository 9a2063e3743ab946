"""Decide what a worker does next: a pure function from its view and situation to the commands to append."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from ...tasks.state.state import TaskState
from ...tasks.state.transitions import State
from ...tasks.state.view import TaskView
from ..limits import LEASE_RENEWAL_FRACTION
from .failure_detector import FailureDetector
from .ready_queue import ReadyTasks


class Join(NamedTuple):
    """Open a session in a partition."""

    partition: int


class Beat(NamedTuple):
    """Append a heartbeat in a partition; a `probe` is to prove to the failure detector that the journal works."""

    partition: int
    probe: bool = False


class Claim(msgspec.Struct, frozen=True, gc=False):
    """Claim a task."""

    task: TaskState


class Expire(NamedTuple):
    """Expire the session of a worker that has failed, as of its event at `last`."""

    partition: int
    worker: str
    last: int


Command = Join | Beat | Claim | Expire


class OwnSession(NamedTuple):
    """The worker's session in one partition: its id, and when (monotonic) its last acknowledged append was begun."""

    worker: str
    acknowledged_at: float


class Situation(NamedTuple):
    """The inputs of the decision other than the view.

    `now` is the wall clock, by which delays are due; `monotonic` measures silence. `draining`: it claims nothing more.
    """

    now: float
    monotonic: float
    lease_seconds: float
    standings: Mapping[int, OwnSession]
    draining: bool = False


def decide(
    view: TaskView, offers: Sequence[tuple[ReadyTasks, int]], detector: FailureDetector, situation: Situation
) -> list[Command]:
    """Return the commands to append now; an empty list means that there is nothing to do but wait.

    `offers` are, for each executor, the tasks that are ready for it and how many of them it has room for.
    """
    commands: list[Command] = []
    joined = {
        partition
        for partition, standing in situation.standings.items()
        if view.session(partition, standing.worker) is not None
    }
    claims: list[Claim] = []
    if not situation.draining:
        commands += [Join(partition) for partition in situation.standings if partition not in joined]
        has_suspect = bool(view.suspects) and _has_suspect(view, situation)
        for ready, free in offers:
            if free > 0 and joined:
                ready.lets_suspect_in = not has_suspect
                claims += _claims(ready, free, situation, joined)
                has_suspect = has_suspect or not ready.lets_suspect_in
    commands += claims
    commands += _beats(view, detector, situation, joined, {claim.task.partition for claim in claims})
    commands += [Expire(*session) for session in detector.to_expire(view) if session.partition in joined]
    return commands


def _has_suspect(view: TaskView, situation: Situation) -> bool:
    """Return whether the worker holds a suspect, a task that may have killed its workers: it claims no second one."""
    own = {partition: standing.worker for partition, standing in situation.standings.items()}
    return any(
        task.state is State.CLAIMED and own.get(task.partition) == task.worker for task in view.suspects.values()
    )


def _claims(ready: ReadyTasks, free: int, situation: Situation, joined: set[int]) -> list[Claim]:
    tasks = ready.take(free, situation.now, situation.monotonic)
    for task in tasks:
        if task.kind.partition not in joined:
            ready.add(task)  # its turn comes when the session there is open
    return [Claim(task) for task in tasks if task.kind.partition in joined and task.run.state is State.READY]


def _beats(
    view: TaskView, detector: FailureDetector, situation: Situation, joined: set[int], claiming: set[int]
) -> list[Beat]:
    """Return the heartbeats that are due: probes, and renewals of claims after a third of the lease in silence."""
    probes = joined if detector.to_probe(view) else set()
    beats = [Beat(partition, probe=True) for partition in sorted(probes)]
    for partition in sorted(joined - probes - claiming):
        standing = situation.standings[partition]
        session = view.session(partition, standing.worker)
        silent = situation.monotonic - standing.acknowledged_at
        if session is not None and session.claims and silent >= situation.lease_seconds * LEASE_RENEWAL_FRACTION:
            beats.append(Beat(partition))
    return beats
