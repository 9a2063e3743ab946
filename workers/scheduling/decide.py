"""Decide what a worker does next: pure functions from its view and situation to the commands to append.

Each decider has one subject; another feature of the worker is another decider in `DECIDERS`.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from ...tasks.failure_detector import FailureDetector
from ...tasks.limits import LEASE_RENEWAL_FRACTION
from ...tasks.state.schedules import Schedule
from ...tasks.state.state import SessionState, TaskState
from ...tasks.state.transitions import State
from ...tasks.state.view import TaskView
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


class Lapse(msgspec.Struct, frozen=True, gc=False):
    """End a task whose time to live is over before a worker has begun it."""

    task: TaskState


class Expire(NamedTuple):
    """Expire the session of a worker that has failed, as of its event at `last`."""

    partition: int
    worker: str
    last: int


class Fire(NamedTuple):
    """Fire a tick of a schedule: submit its task, or note that it is `skipped`."""

    schedule: Schedule
    tick: int
    skipped: bool = False


Command = Join | Beat | Claim | Lapse | Expire | Fire


class OwnSession(NamedTuple):
    """The worker's session in one partition: its id, and when (monotonic) its last acknowledged append was begun."""

    worker: str
    acknowledged_at: float


class DueTicks(NamedTuple):
    """A schedule and its ticks that are to be fired now, in ms since the epoch, the first one first."""

    schedule: Schedule
    ticks: Sequence[int]


class Situation(NamedTuple):
    """The inputs of the decision other than the view.

    `now` is the wall clock, by which delays are due; `monotonic` measures silence. `draining`: it claims nothing more.
    `sessions` are this worker's, by partition; `due` are the schedules with due ticks, by the timetable.
    """

    now: float
    monotonic: float
    lease_seconds: float
    sessions: Mapping[int, OwnSession]
    draining: bool = False
    due: Sequence[DueTicks] = ()


class Outlook(NamedTuple):
    """What every decider sees: the state of the queue, this worker's situation, and its open sessions, by partition.

    `offers` are, for each executor, the tasks that are ready for it and how many of them it has room for.
    """

    view: TaskView
    offers: Sequence[tuple[ReadyTasks, int]]
    detector: FailureDetector
    situation: Situation
    joined: Mapping[int, SessionState]


# A decider adds to the commands of those before it.
Decider = Callable[[Outlook, Sequence[Command]], Iterable[Command]]


def decide(
    view: TaskView, offers: Sequence[tuple[ReadyTasks, int]], detector: FailureDetector, situation: Situation
) -> list[Command]:
    """Return the commands to append now; an empty list means that there is nothing to do but wait.

    Each of `DECIDERS` is asked in turn.
    """
    joined = {
        partition: session
        for partition, own in situation.sessions.items()
        if (session := view.session(partition, own.worker)) is not None
    }
    outlook = Outlook(view, offers, detector, situation, joined)
    commands: list[Command] = []
    for decider in DECIDERS:
        commands += decider(outlook, commands)
    return commands


def joins(outlook: Outlook, _decided: Sequence[Command]) -> Iterable[Command]:
    """Open a session in each partition that has none."""
    situation = outlook.situation
    if situation.draining:
        return []
    return [Join(partition) for partition in situation.sessions if partition not in outlook.joined]


def claims(outlook: Outlook, _decided: Sequence[Command]) -> Iterable[Command]:
    """Claim as many ready tasks as the executors have room for, at most one suspect; end those that have lapsed."""
    view, situation, joined = outlook.view, outlook.situation, outlook.joined
    commands: list[Claim] = []
    if situation.draining or not joined:
        return commands
    has_suspect = _has_suspect(view, situation)
    for ready, free in outlook.offers:
        if free > 0:
            ready.lets_suspect_in = not has_suspect
            commands += _claims(ready, free, situation, joined)
            has_suspect = not ready.lets_suspect_in
    return _without_lapsed(commands, view.expiries, situation.now) if view.expiries else commands


def _without_lapsed(claims: Iterable[Claim], expiries: Mapping[str, float], now: float) -> list[Command]:
    """Return the claims, with a `Lapse` in place of each whose task's time to live is over."""
    return [Lapse(claim.task) if expiries.get(claim.task.id, math.inf) <= now else claim for claim in claims]


def _has_suspect(view: TaskView, situation: Situation) -> bool:
    """Return whether the worker holds a suspect, a task that may have killed its workers: it claims no second one."""
    own = {partition: session.worker for partition, session in situation.sessions.items()}
    return any(
        task.state is State.CLAIMED and own.get(task.partition) == task.worker for task in view.suspects.values()
    )


def _claims(ready: ReadyTasks, free: int, situation: Situation, joined: Collection[int]) -> list[Claim]:
    claims: list[Claim] = []
    for task in ready.take(free, situation.now, situation.monotonic):
        if task.kind.partition in joined:
            claims.append(Claim(task))
        else:
            ready.add(task)  # its turn comes when the session there is open
    return claims


def beats(outlook: Outlook, decided: Sequence[Command]) -> Iterable[Command]:
    """Append the heartbeats that are due: probes, and renewals of claims after a third of the lease in silence."""
    view, situation, joined = outlook.view, outlook.situation, outlook.joined
    claiming = {command.task.kind.partition for command in decided if isinstance(command, Claim)}
    probes = joined.keys() if outlook.detector.to_probe(view) else frozenset()
    commands = [Beat(partition, probe=True) for partition in sorted(probes)]
    for partition in sorted(joined.keys() - probes - claiming):
        silent = situation.monotonic - situation.sessions[partition].acknowledged_at
        if joined[partition].claims and silent >= situation.lease_seconds * LEASE_RENEWAL_FRACTION:
            commands.append(Beat(partition))
    return commands


def expiries(outlook: Outlook, _decided: Sequence[Command]) -> Iterable[Command]:
    """Expire the sessions of workers that have failed."""
    return [
        Expire(*session) for session in outlook.detector.to_expire(outlook.view) if session.partition in outlook.joined
    ]


def fires(outlook: Outlook, _decided: Sequence[Command]) -> Iterable[Command]:
    """Fire the ticks that are due; a draining worker leaves them to others."""
    situation = outlook.situation
    if situation.draining:
        return []
    return [fire for due in situation.due for fire in firing(outlook.view, due)]


def firing(view: TaskView, due: DueTicks) -> list[Fire]:
    """Return how to fire the due ticks of a schedule.

    Where runs must not overlap, one tick is fired if the last run has ended; the others are skipped together.
    """
    schedule, ticks = due
    if schedule.policy.overlap == "queue":
        return [Fire(schedule, tick) for tick in ticks]
    fired = [] if schedule.task in view.live else [Fire(schedule, ticks[0])]
    left_out = [Fire(schedule, ticks[-1], skipped=True)] if len(fired) < len(ticks) else []
    return fired + left_out


DECIDERS: Final[tuple[Decider, ...]] = (joins, claims, beats, expiries, fires)
