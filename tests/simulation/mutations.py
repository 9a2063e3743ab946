"""Bugs, one in each rule, planted into the running product. Every one of them must be noticed by some seed."""

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from journeyman.tasks import State, TaskView, failure_detector
from journeyman.tasks.failure_detector import FailureDetector
from journeyman.tasks.state import dead_letters, fold, names
from journeyman.tasks.state.ended import EndedTasks
from journeyman.tasks.state.selection import Selection
from journeyman.tasks.state.sessions import Sessions
from journeyman.tasks.state.state import SessionState
from journeyman.tasks.state.transitions import (
    EXHAUSTED,
    HANDED_BACK,
    RETURNED,
    TRANSITIONS,
    Attempt,
    Token,
    Transition,
    plain_moves,
)
from journeyman.workers.loop import appender, loop
from journeyman.workers.loop.claimed import ClaimedTasks
from journeyman.workers.scheduling import commit_pace, decide, ready_queue
from journeyman.workers.scheduling.priority_level import PriorityLevel
from journeyman.workers.scheduling.ready_queue import ReadyTasks
from pytest import MonkeyPatch  # noqa: PT013 - a helper, not a test

from . import worker
from .loop_mutations import LOOP_MUTATIONS, Plant, rewritten

MUTATIONS: Final[dict[str, Plant]] = {}


def mutation(plant: Plant) -> Plant:
    """Enter a bug under the words that name it."""
    MUTATIONS[plant.__name__.replace("_", " ")] = plant
    return plant


def _table(patch: MonkeyPatch, change: Callable[[dict[State, dict[str, Transition]]], None]) -> None:
    table = {state: dict(moves) for state, moves in TRANSITIONS.items()}
    change(table)
    patch.setattr(fold, "PLAIN_MOVES", plain_moves(table))


def _wrong(state: State, event: str, **wrong: Any) -> Plant:
    def plant(patch: MonkeyPatch) -> None:
        _table(patch, lambda table: table[state].update({event: table[state][event]._replace(**wrong)}))

    return plant


def _pause_instead_of_crashing(patch: MonkeyPatch) -> None:
    patch.setattr(worker.SimulatedWorker, "crash", lambda self: self.pause(10 * self.world.lease))


# -- the table -------------------------------------------------------------------------------------------------------

for _event in (names.SUCCEEDED, names.FAILED, names.RETRIED, names.INTERRUPTED):
    MUTATIONS[f"{_event} needs no token"] = _wrong(State.CLAIMED, _event, token=Token.UNUSED)
MUTATIONS["a claim needs no session"] = _wrong(State.READY, names.CLAIMED, session=False)
MUTATIONS["a claim is not counted"] = _wrong(State.READY, names.CLAIMED, attempt=Attempt.KEPT)
MUTATIONS["an interruption uses an attempt"] = _wrong(State.CLAIMED, names.INTERRUPTED, attempt=Attempt.KEPT)
MUTATIONS["leaving uses an attempt"] = _wrong(State.CLAIMED, HANDED_BACK, attempt=Attempt.KEPT)
MUTATIONS["an expiry uses no attempt"] = _wrong(State.CLAIMED, RETURNED, attempt=Attempt.TAKEN_OFF)
MUTATIONS["a task that kills its workers lives for ever"] = _wrong(State.CLAIMED, EXHAUSTED, to=State.READY)
MUTATIONS["a failure is not the end"] = _wrong(State.CLAIMED, names.FAILED, to=State.READY)


@mutation
def what_runs_cannot_be_revoked(patch: MonkeyPatch) -> None:
    def change(table: dict[State, dict[str, Transition]]) -> None:
        del table[State.CLAIMED][names.REVOKED]

    _table(patch, change)


@mutation
def a_claimed_task_can_be_claimed_again(patch: MonkeyPatch) -> None:
    def change(table: dict[State, dict[str, Transition]]) -> None:
        table[State.CLAIMED][names.CLAIMED] = table[State.READY][names.CLAIMED]

    _table(patch, change)


# -- the fold --------------------------------------------------------------------------------------------------------


@mutation
def an_expiry_needs_not_name_the_last_event(patch: MonkeyPatch) -> None:
    real = Sessions.apply

    def believe(self: Sessions, name: str, context: Any, place: int, *where: Any) -> Any:
        session = self.of(place, context.worker)
        if name == names.EXPIRED and session is not None:
            context.last = session.last
        return real(self, name, context, place, *where)

    patch.setattr(Sessions, "apply", believe)


@mutation
def only_accepted_events_are_signs_of_life(patch: MonkeyPatch) -> None:
    real = TaskView._move_task

    def forgetful(self: TaskView, name: str, context: Any, place: int, offset: int, at: float) -> Any:
        session = self.session(place, context.worker)
        verdict = real(self, name, context, place, offset, at)
        if verdict and session is not None:
            session.last = offset - 1
        return verdict

    patch.setattr(TaskView, "_move_task", forgetful)


@mutation
def an_expiry_is_a_sign_of_life_of_the_expired(patch: MonkeyPatch) -> None:
    real = TaskView.apply_fact

    def lively(self: TaskView, name: str, context: Any, place: int, offset: int, *rest: Any) -> Any:
        session = self.session(place, context.worker)
        if session is not None and name == names.EXPIRED:
            session.last = offset
        return real(self, name, context, place, offset, *rest)

    patch.setattr(TaskView, "apply_fact", lively)


def _ends_without_returning(name: str) -> Plant:
    real = TaskView._return_claims

    def plant(patch: MonkeyPatch) -> None:
        def end(self: TaskView, session: SessionState, ended_by: str, *where: Any) -> None:
            if ended_by == name:
                session.claims.clear()
            real(self, session, ended_by, *where)

        patch.setattr(TaskView, "_return_claims", end)

    return plant


MUTATIONS["the claims of the expired do not return"] = _ends_without_returning(names.EXPIRED)
MUTATIONS["the claims of those who leave do not return"] = _ends_without_returning(names.LEFT)


@mutation
def a_session_keeps_what_it_has_finished(patch: MonkeyPatch) -> None:
    patch.setattr(TaskView, "_release", lambda self, task, holder: None)


@mutation
def an_id_may_come_twice(patch: MonkeyPatch) -> None:
    real = TaskView._submit

    def forgetful(self: TaskView, context: Any, *where: Any) -> Any:
        self.live.pop(context.task, None)
        self.dead.pop(context.task, None)
        for tasks in self._ended.values():
            tasks.ends.pop(context.task, None)
        return real(self, context, *where)

    patch.setattr(TaskView, "_submit", forgetful)


@mutation
def ids_of_ended_tasks_are_refused_for_ever(patch: MonkeyPatch) -> None:
    patch.setattr(EndedTasks, "refuse", lambda self, task, offset: task in self.ends)


@mutation
def ids_of_ended_tasks_are_forgotten_too_soon(patch: MonkeyPatch) -> None:
    real = EndedTasks.refuse
    patch.setattr(EndedTasks, "refuse", lambda self, task, offset: real(self, task, 2 * offset))


@mutation
def revoked_tasks_are_remembered_as_succeeded(patch: MonkeyPatch) -> None:
    real = EndedTasks.add
    patch.setattr(EndedTasks, "add", lambda self, task, offset, state: real(self, task, offset, State.SUCCEEDED))


@mutation
def forgotten_dead_letters_are_lost(patch: MonkeyPatch) -> None:
    real = TaskView._move_unknown

    def strict(self: TaskView, name: str, context: Any, *where: Any) -> Any:
        context.submission = None
        return real(self, name, context, *where)

    patch.setattr(TaskView, "_move_unknown", strict)


@mutation
def an_ended_task_is_requeued_like_a_forgotten_one(patch: MonkeyPatch) -> None:
    real = TaskView._move_unknown

    def believe(self: TaskView, name: str, context: Any, partition: int, *where: Any) -> Any:
        if name == names.REQUEUED and partition in self._ended:
            self._ended[partition].ends.pop(context.task, None)
        return real(self, name, context, partition, *where)

    patch.setattr(TaskView, "_move_unknown", believe)


@mutation
def no_reader_learns_of_a_requeued_dead_letter(patch: MonkeyPatch) -> None:
    rewritten(fold.TaskFold, "_move_unknown", "if self.on_ready is not None:", "if False:")(patch)


@mutation
def dead_letters_are_forgotten_newest_first(patch: MonkeyPatch) -> None:
    real = OrderedDict.popitem

    class Newest(OrderedDict[str, None]):
        def popitem(self, last: bool = True) -> Any:
            return real(self, last=True)

    patch.setattr(dead_letters, "OrderedDict", Newest)


@mutation
def a_backoff_is_forgotten(patch: MonkeyPatch) -> None:
    real = TaskView._move_task

    def hasty(self: TaskView, name: str, context: Any, *rest: Any) -> Any:
        if name == names.RETRIED:
            context.due = 0.0
        return real(self, name, context, *rest)

    patch.setattr(TaskView, "_move_task", hasty)


@mutation
def no_reader_learns_that_a_task_is_ready_again(patch: MonkeyPatch) -> None:
    real = TaskView._settle

    def silent(self: TaskView, *move: Any) -> None:
        told, self.on_ready = self.on_ready, None
        real(self, *move)
        self.on_ready = told

    patch.setattr(TaskView, "_settle", silent)


# -- the failure detector --------------------------------------------------------------------------------------------


def _count_outages(patch: MonkeyPatch) -> None:
    """Let working time go on while the journal is away, and grant nothing afterwards."""

    def advance(self: FailureDetector, monotonic: float) -> None:
        passed = 0.0 if self._observed_at is None else monotonic - self._observed_at
        self._observed_at = monotonic
        self._working += passed

    patch.setattr(FailureDetector, "_advance", advance)


@mutation
def silence_counts_while_the_journal_is_away(patch: MonkeyPatch) -> None:
    _count_outages(patch)
    patch.setattr(failure_detector, "LEASE_PROOF_FRACTION", 1.0)  # either of the two would do in most worlds


@mutation
def sessions_are_expired_without_a_probe(patch: MonkeyPatch) -> None:
    def believe(self: FailureDetector, seen: TaskView) -> bool:
        for (place, who), sighting in self._sightings.items():
            session = seen.session(place, who)
            if session is not None and self._working - sighting.seen_at >= sighting.lease:
                sighting.proofs = 2
        return False

    patch.setattr(FailureDetector, "to_probe", believe)
    _count_outages(patch)


@mutation
def one_probe_at_the_end_of_the_lease_is_enough(patch: MonkeyPatch) -> None:
    patch.setattr(failure_detector, "LEASE_PROOF_FRACTION", 1.0)
    _count_outages(patch)


@mutation
def a_sign_of_life_changes_nothing(patch: MonkeyPatch) -> None:
    real = FailureDetector.observe

    def blind(self: FailureDetector, seen: TaskView, own: frozenset[str], monotonic: float) -> bool:
        for (place, who), sighting in self._sightings.items():
            session = seen.session(place, who)
            if session is not None:
                sighting.last = session.last
        return real(self, seen, own, monotonic)

    patch.setattr(FailureDetector, "observe", blind)


@mutation
def no_session_is_ever_expired(patch: MonkeyPatch) -> None:
    patch.setattr(FailureDetector, "to_expire", lambda self, seen: [])


@mutation
def working_time_stops_after_the_first_outage(patch: MonkeyPatch) -> None:
    patch.setattr(FailureDetector, "failure_ended", lambda self: None)


@mutation
def the_lease_is_taken_for_a_third(patch: MonkeyPatch) -> None:
    def impatient(sighting: Any, working: float) -> bool:
        return bool(sighting.proofs < 2 and working - sighting.seen_at >= sighting.lease / 3)

    patch.setattr(failure_detector._Sighting, "wants_proof", impatient)


# -- the decision ----------------------------------------------------------------------------------------------------


@mutation
def no_worker_renews_its_lease(patch: MonkeyPatch) -> None:
    for module in (decide, loop):  # the one renews, the other wakes for it
        patch.setattr(module, "LEASE_RENEWAL_FRACTION", math.inf)


@mutation
def renewals_come_too_late(patch: MonkeyPatch) -> None:
    for module in (decide, loop):
        patch.setattr(module, "LEASE_RENEWAL_FRACTION", 1.5)


@mutation
def a_drain_claims_on(patch: MonkeyPatch) -> None:
    real = decide.decide
    patch.setattr(
        worker, "decide", lambda seen, offers, eyes, now: real(seen, offers, eyes, now._replace(draining=False))
    )


@mutation
def an_expired_worker_believes_itself_joined(patch: MonkeyPatch) -> None:
    real, joined = decide.decide, set[tuple[int, str]]()

    def stubborn(seen: TaskView, offers: Any, eyes: FailureDetector, now: decide.Situation) -> list[decide.Command]:
        commands = []
        for command in real(seen, offers, eyes, now):
            if isinstance(command, decide.Join):
                key = (command.partition, now.sessions[command.partition].worker)
                if key in joined:
                    continue
                joined.add(key)
            commands.append(command)
        return commands

    patch.setattr(worker, "decide", stubborn)
    _pause_instead_of_crashing(patch)


@mutation
def a_refused_claim_is_forgotten(patch: MonkeyPatch) -> None:
    rewritten(ClaimedTasks, "start", "self._lanes.add_ready(task)", "pass")(patch)
    _pause_instead_of_crashing(patch)


@mutation
def work_is_begun_however_old_the_lease(patch: MonkeyPatch) -> None:
    patch.setattr(appender, "LEASE_START_FRACTION", 100.0)


# -- what is ready ---------------------------------------------------------------------------------------------------


@mutation
def the_share_of_the_dead_is_left_to_them(patch: MonkeyPatch) -> None:
    patch.setattr(ready_queue, "STEAL_DELAY_SECONDS", math.inf)
    patch.setattr(commit_pace, "STEAL_DELAY_SECONDS", math.inf)
    patch.setattr(commit_pace, "STEAL_DELAY_SECONDS_MAX", math.inf)


@mutation
def delays_do_not_count(patch: MonkeyPatch) -> None:
    def at_once(self: ReadyTasks, task: Any) -> None:
        self._place(task)

    def whatever(self: ReadyTasks, task: Any, now: float, taken: list[Any]) -> None:
        self._entries -= 1
        if task.state is State.READY and not any(task is each for each in taken):
            taken.append(task)

    patch.setattr(ReadyTasks, "add", at_once)
    patch.setattr(ReadyTasks, "_pop", whatever)


@mutation
def what_is_delayed_is_lost(patch: MonkeyPatch) -> None:
    real = ReadyTasks.add
    patch.setattr(ReadyTasks, "add", lambda self, task: None if task.due else real(self, task))


@mutation
def a_sweep_takes_the_ready_along(patch: MonkeyPatch) -> None:
    patch.setattr(ReadyTasks, "sweep", lambda self, living: self._levels.clear() or self._order.clear())


@mutation
def the_last_priority_comes_first(patch: MonkeyPatch) -> None:
    patch.setattr(ready_queue, "insort", lambda order, key: (order.append(key), order.sort(reverse=True)))


@mutation
def a_task_that_came_back_is_offered_twice(patch: MonkeyPatch) -> None:
    def both(self: ReadyTasks, task: Any, now: float, taken: list[Any]) -> None:
        self._entries -= 1
        if task.state is State.READY and task.due <= now:
            taken.append(task)

    patch.setattr(ReadyTasks, "_pop", both)


@mutation
def more_is_claimed_than_there_is_room_for(patch: MonkeyPatch) -> None:
    real = ReadyTasks.take
    patch.setattr(ReadyTasks, "take", lambda self, limit, now, monotonic: real(self, limit + 1, now, monotonic))


@mutation
def suspects_are_let_in_together(patch: MonkeyPatch) -> None:
    patch.setattr(ReadyTasks, "lets_suspect_in", property(lambda self: True, lambda self, value: None), raising=False)


@mutation
def a_suspect_in_hand_does_not_count(patch: MonkeyPatch) -> None:
    patch.setattr(decide, "_has_suspect", lambda view, situation: False)


@mutation
def suspects_that_were_set_aside_are_lost(patch: MonkeyPatch) -> None:
    patch.setattr(ReadyTasks, "_bring_back", lambda self: None)


@mutation
def a_task_that_lost_two_sessions_is_no_suspect(patch: MonkeyPatch) -> None:
    patch.setattr(TaskView, "_suspect", lambda self, task: None)


@mutation
def queues_are_matched_by_their_beginnings(patch: MonkeyPatch) -> None:
    def alike(self: Selection, queue: str, task: str) -> bool:
        return self.queues is None or any(queue.startswith(named) for named in self.queues)

    patch.setattr(Selection, "serves", alike)


@mutation
def a_queue_is_forgotten_with_what_waits_in_it(patch: MonkeyPatch) -> None:
    patch.setattr(PriorityLevel, "empty", True)


MUTATIONS.update(LOOP_MUTATIONS)
