"""The life of a task: every state and every event through the real fold, against a table written out by hand."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from journeyman.tasks import State, Verdict
from journeyman.tasks.state import names
from journeyman.tasks.state.remembering import RememberingView
from journeyman.tasks.state.transitions import EVENTS, EXHAUSTED, HANDED_BACK, RETURNED, TRANSITIONS, diagram
from support.ledger import Ledger, picture

TASK, WORKER, OTHER = "task-1", "worker-1", "worker-2"
RETRIES = 2
DOCUMENT = Path(__file__).parents[2] / "docs" / "task-states.md"

U, R, C, S, F, X = State
# What becomes of a task in each state at each event: the new state, and how the count of attempts changes.
# A pair that is not here is illegal and must change nothing.
EXPECTED: dict[tuple[State, str], tuple[State, Callable[[int], int]]] = {
    (U, "task.submitted"): (R, lambda attempts: attempts),
    (U, "task.requeued"): (R, lambda attempts: 0),
    (R, "task.claimed"): (C, lambda attempts: attempts + 1),
    (R, "task.revoked"): (X, lambda attempts: attempts),
    (C, "task.succeeded"): (S, lambda attempts: attempts),
    (C, "task.failed"): (F, lambda attempts: attempts),
    (C, "task.retried"): (R, lambda attempts: attempts),
    (C, "task.interrupted"): (R, lambda attempts: attempts - 1),
    (C, "task.progressed"): (C, lambda attempts: attempts),
    (C, "task.result_stored"): (C, lambda attempts: attempts),
    (C, "task.revoked"): (X, lambda attempts: attempts),
    (C, "returned"): (R, lambda attempts: attempts),
    (C, "exhausted"): (F, lambda attempts: attempts),
    (C, "handed back"): (R, lambda attempts: attempts - 1),
    (S, "task.collected"): (S, lambda attempts: attempts),
    (F, "task.requeued"): (R, lambda attempts: 0),
    (U, "task.purged"): (X, lambda attempts: attempts),
    (F, "task.purged"): (X, lambda attempts: attempts),
    (R, "task.lapsed"): (X, lambda attempts: attempts),
    (R, "task.acknowledged"): (S, lambda attempts: attempts),
    (R, "task.rejected"): (F, lambda attempts: attempts),
    (R, "task.rescheduled"): (R, lambda attempts: attempts + 1),
    (C, "task.acknowledged"): (S, lambda attempts: attempts),
    (C, "task.rejected"): (F, lambda attempts: attempts),
    (C, "task.rescheduled"): (R, lambda attempts: attempts),
    (R, "task.amended"): (R, lambda attempts: attempts),
    (C, "task.amended"): (C, lambda attempts: attempts),
    **{(state, "task.noted"): (state, lambda attempts: attempts) for state in (R, C, S, F, X)},
}
REPORTS = (names.PROGRESSED, names.RESULT_STORED, names.AMENDED)
TOKEN_EVENTS = (names.SUCCEEDED, names.FAILED, names.RETRIED, names.INTERRUPTED, *REPORTS)
ALL_PAIRS = [pytest.param(state, event, id=f"{state.name}-{event}") for state in State for event in EVENTS]


def brought_to(state: State, event: str) -> Ledger:
    """A log in which the task is in `state`; with no attempts left where `event` is about that."""
    log = Ledger()
    log.join(WORKER)
    log.join(OTHER)
    if state is State.UNKNOWN:
        return log
    log.submit(
        TASK, max_retries=0 if event == EXHAUSTED else RETRIES, **({"expires": 9.0} if event == names.LAPSED else {})
    )
    if state is State.REVOKED:
        log.write(names.REVOKED, task=TASK)
    elif state is not State.READY:
        log.claim(TASK, WORKER)
    if state is State.SUCCEEDED:
        log.end_attempt(names.SUCCEEDED, TASK, WORKER)
    elif state is State.FAILED:
        log.end_attempt(names.FAILED, TASK, WORKER)
    assert log.task(TASK).state is state
    return log


def happens(log: Ledger, event: str) -> Verdict:
    """Let the event happen, in every other respect as it should be."""
    task = log.view.find(TASK)
    if event == HANDED_BACK:
        return log.write(names.LEFT, worker=WORKER)
    if event in (RETURNED, EXHAUSTED):
        return log.expire(WORKER, by=OTHER)
    claim = task.claim if task is not None else 0
    carried = {"offset": 0, "at": 1.5, "task_name": "work"} if event in (names.REQUEUED, names.PURGED) else None
    more = {} if carried is None else {"submission": carried}
    return log.write(event, task=TASK, task_name="work", worker=WORKER, claim=claim, due=12.5, **more)


def without_refusals(seen: dict[str, Any]) -> dict[str, Any]:
    """A picture without what a refusal may leave: its count, and the sign of life."""
    for room in ("live", "dead"):
        for facts in seen[room].values():
            del facts["refused"]
    del seen["sessions"], seen["counters"]
    return seen


@pytest.mark.parametrize(("state", "event"), ALL_PAIRS)
def test_every_pair_of_state_and_event_is_decided(state: State, event: str) -> None:
    log = brought_to(state, event)
    before = log.view.find(TASK)
    attempts = before.attempts if before is not None else 0
    refused = before.refused if before is not None else 0
    seen = without_refusals(picture(log.view))

    verdict = happens(log, event)

    if (state, event) in EXPECTED:
        to, attempts_after = EXPECTED[state, event]
        task = log.task(TASK)
        assert verdict is Verdict.ACCEPTED
        assert task.state is to
        assert task.attempts == attempts_after(attempts)
        assert task.refused == refused
        assert (TASK in log.view.live) == (to in (State.READY, State.CLAIMED))
        assert log.view.state_of(0, TASK) is to
        assert (TASK in log.view.dead) == (to is State.FAILED)
        session = log.view.session(0, WORKER)
        assert (session is not None and TASK in session.claims) == (to is State.CLAIMED)
        if to is not state or event == names.RESCHEDULED:
            assert task.changed == log.end - 1
        assert bool(log.view.expiries) == (event == names.LAPSED and to in (State.READY, State.CLAIMED))
    else:
        assert without_refusals(picture(log.view)) == seen
        if event not in (RETURNED, EXHAUSTED, HANDED_BACK):  # there it is the session that ends, which is legal
            assert verdict is Verdict.REFUSED


def test_transition_table_holds_the_expected_moves_alone() -> None:
    assert {(state, event): move.to for state, moves in TRANSITIONS.items() for event, move in moves.items()} == {
        pair: to for pair, (to, _) in EXPECTED.items()
    }


@pytest.mark.parametrize("event", TOKEN_EVENTS)
def test_outcome_needs_the_current_token(event: str) -> None:
    log = brought_to(State.CLAIMED, event)
    first = log.task(TASK).claim
    log.expire(WORKER, by=OTHER)
    log.claim(TASK, OTHER)
    before = picture(log.view, counters=False)

    for wrong in (first, -1, log.task(TASK).claim + 1):
        assert log.write(event, task=TASK, worker=WORKER, claim=wrong) is Verdict.REFUSED

    after = picture(log.view, counters=False)
    assert after["live"][TASK].pop("refused") == before["live"][TASK].pop("refused") + 3
    assert after == before
    assert log.view.stale_outcomes == (0 if event in REPORTS else 3)
    assert log.end_attempt(event, TASK, OTHER) is Verdict.ACCEPTED


@pytest.mark.parametrize("event", sorted(names.BY_HAND))
def test_event_by_hand_needs_no_token_but_refuses_a_former_one(event: str) -> None:
    log = brought_to(State.CLAIMED, event)
    first = log.task(TASK).claim
    log.expire(WORKER, by=OTHER)
    assert log.write(event, task=TASK, claim=first) is Verdict.REFUSED, "the task waits, without a claim"
    log.claim(TASK, OTHER)
    for wrong in (first, -2, log.task(TASK).claim + 1):
        assert log.write(event, task=TASK, claim=wrong) is Verdict.REFUSED
    assert log.task(TASK).state is State.CLAIMED
    assert log.view.stale_outcomes == 0
    assert log.write(event, task=TASK, due=12.5) is Verdict.ACCEPTED
    session = log.view.session(0, OTHER)
    assert session is not None
    assert not session.claims
    assert log.end_attempt(names.SUCCEEDED, TASK, OTHER) is Verdict.REFUSED


@pytest.mark.parametrize("outcome", [names.SUCCEEDED, names.FAILED, names.RETRIED, names.INTERRUPTED, names.REVOKED])
def test_task_has_a_token_only_while_it_is_claimed(outcome: str) -> None:
    log = brought_to(State.CLAIMED, outcome)
    assert log.task(TASK).claim >= 0
    log.end_attempt(outcome, TASK, WORKER)
    assert log.task(TASK).claim == -1


def test_task_knows_the_time_of_its_last_change() -> None:
    log = brought_to(State.CLAIMED, names.RETRIED)
    for change in (names.RETRIED, names.CLAIMED, names.PROGRESSED, names.SUCCEEDED):
        before = log.task(TASK).changed_at
        log.end_attempt(change, TASK, WORKER)
        expected = before if change == names.PROGRESSED else log.events[-1].timestamp
        assert log.task(TASK).changed_at == expected, change


def test_task_without_a_time_to_live_does_not_lapse() -> None:
    log = Ledger()
    log.submit(TASK)
    assert log.write(names.LAPSED, task=TASK) is Verdict.REFUSED
    assert log.task(TASK).state is State.READY


def test_time_to_live_ends_with_the_task_and_with_a_requeue() -> None:
    log = Ledger()
    log.join(WORKER)
    for task, end in (("a", names.SUCCEEDED), ("b", names.FAILED), ("c", names.REVOKED), ("d", names.ACKNOWLEDGED)):
        log.submit(task, expires=5.0)
        log.claim(task, WORKER)
        log.end_attempt(end, task, WORKER)
    assert not log.view.expiries
    log.write(names.REQUEUED, task="b")
    assert log.write(names.LAPSED, task="b") is Verdict.REFUSED


def test_amendment_lasts_until_the_task_ends_and_returns_by_requeue() -> None:
    log = brought_to(State.READY, names.AMENDED)
    log.write(names.AMENDED, task=TASK)
    log.write(names.AMENDED, task=TASK)
    last = log.end - 1
    log.claim(TASK, WORKER)
    assert log.write(names.AMENDED, task=TASK) is Verdict.REFUSED, "it is held, and no claim is named"
    assert log.view.amendments == {TASK: last}
    log.end_attempt(names.FAILED, TASK, WORKER)
    assert not log.view.amendments
    carried = {"offset": 2, "at": 1.5, "task_name": "work", "amended": last}
    assert log.write(names.REQUEUED, task=TASK, submission=carried) is Verdict.ACCEPTED
    assert log.view.amendments == {TASK: last}
    log.write(names.REVOKED, task=TASK)
    assert not log.view.amendments


def test_rescheduled_task_waits_for_its_new_time() -> None:
    ready: list[str] = []
    log = Ledger(RememberingView(on_ready=lambda task: ready.append(task.id)))
    log.submit(TASK)
    log.write(names.RESCHEDULED, task=TASK, due=12.5)
    assert (log.task(TASK).attempts, log.task(TASK).due, ready) == (1, 12.5, [TASK, TASK])


@pytest.mark.parametrize("how", ["never joined", "left", "expired"])
def test_claim_needs_a_live_session(how: str) -> None:
    log = Ledger()
    log.submit(TASK)
    if how != "never joined":
        log.join(WORKER)
    if how == "left":
        log.write(names.LEFT, worker=WORKER)
    elif how == "expired":
        log.expire(WORKER)

    assert log.write(names.CLAIMED, task=TASK, worker=WORKER) is Verdict.REFUSED
    assert log.task(TASK).state is State.READY
    assert log.view.lost_claims == 1


@pytest.mark.parametrize("event", [*names.TASK_EVENTS[1:], *names.WORKER_EVENTS[1:]])
def test_event_in_another_partition_decides_nothing(event: str) -> None:
    log = brought_to(State.CLAIMED, event)
    before = without_refusals(picture(log.view))
    elsewhere = Ledger(log.view, partition=1, first=log.task(TASK).claim)  # so that even the token's number agrees

    elsewhere.write(event, task=TASK, worker=WORKER, claim=log.task(TASK).claim, last=log.end - 1, by=OTHER)

    assert without_refusals(picture(log.view)) == before
    session = log.view.session(0, WORKER)
    assert session is not None
    assert TASK in session.claims


def test_expiry_is_refused_after_a_sign_of_life() -> None:
    log = brought_to(State.CLAIMED, names.SUCCEEDED)
    session = log.view.session(0, WORKER)
    assert session is not None
    seen = session.last
    log.write(names.CLAIMED, task="no such task", worker=WORKER)  # refused, and still a sign of life

    assert log.write(names.EXPIRED, worker=WORKER, last=seen, by=OTHER) is Verdict.REFUSED
    assert log.task(TASK).state is State.CLAIMED
    assert log.expire(WORKER, by=OTHER) is Verdict.ACCEPTED
    assert log.task(TASK).state is State.READY


def test_expiry_is_a_sign_of_life_of_the_watcher_alone() -> None:
    log = brought_to(State.CLAIMED, names.SUCCEEDED)
    watched, watcher = log.view.session(0, WORKER), log.view.session(0, OTHER)
    assert watched is not None
    assert watcher is not None
    last = watched.last

    log.write(names.EXPIRED, worker=WORKER, last=last - 1, by=OTHER)

    assert watched.last == last
    assert watcher.last == log.end - 1


def test_session_id_is_open_once_at_a_time() -> None:
    log = brought_to(State.CLAIMED, names.SUCCEEDED)
    assert log.write(names.JOINED, worker=WORKER, lease_ms=5) is Verdict.REFUSED
    assert log.write(names.JOINED, worker="") is Verdict.FOREIGN, "it says of no worker"
    session = log.view.session(0, WORKER)
    assert session is not None
    assert session.lease_ms == 1_000


def test_progress_by_another_session_moves_no_claim() -> None:
    log = brought_to(State.CLAIMED, names.PROGRESSED)
    log.write(names.PROGRESSED, task=TASK, worker=OTHER, claim=log.task(TASK).claim)
    owner, other = log.view.session(0, WORKER), log.view.session(0, OTHER)
    assert owner is not None
    assert other is not None
    assert list(owner.claims) == [TASK]
    assert not other.claims


def test_requeued_task_runs_again_at_once() -> None:
    log = brought_to(State.CLAIMED, names.RETRIED)
    log.end_attempt(names.RETRIED, TASK, WORKER, due=4_000_000_000.0)
    log.claim(TASK, WORKER)
    log.end_attempt(names.FAILED, TASK, WORKER)
    log.write(names.REQUEUED, task=TASK)
    assert (log.task(TASK).attempts, log.task(TASK).due) == (0, 0.0)


def test_given_back_task_waits_for_the_moment_it_named() -> None:
    log = brought_to(State.CLAIMED, names.INTERRUPTED)
    log.task(TASK).touched().suspect = True
    log.end_attempt(names.INTERRUPTED, TASK, WORKER, due=4_000_000_000.0)
    task = log.task(TASK)
    assert (task.state, task.attempts, task.due, task.suspect) == (State.READY, 0, 4_000_000_000.0, False)
    log.claim(TASK, WORKER)
    log.end_attempt(names.INTERRUPTED, TASK, WORKER)
    assert log.task(TASK).due == 4_000_000_000.0, "given back by the worker: due as before"


def test_documented_diagram_equals_the_table() -> None:
    drawn = re.findall(r"```mermaid\n(.*?)\n```", DOCUMENT.read_text(), re.DOTALL)
    assert drawn == [diagram()], "docs/task-states.md: paste what workers.rules.transitions.diagram() gives"


def test_diagram_shows_every_move() -> None:
    lines = diagram().splitlines()
    for state, moves in TRANSITIONS.items():
        for event, move in moves.items():
            assert f"    {state.name} --> {move.to.name}: {event}" in lines
