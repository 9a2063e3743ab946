"""A broker's actions on one message: each returns its disposition, for synchronous code and for asyncio alike."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from journeyman.journal import Journal
from journeyman.tasks import (
    AsyncBroker,
    Broker,
    ConstantBackoff,
    Disposition,
    Message,
    MessageDoesNotExistsError,
    TaskFailedError,
    ValidationError,
    parse_exception,
)
from journeyman.tasks.results import ResultStore
from journeyman.tasks.state import names
from journeyman.tasks.state.transitions import State
from journeyman.tasks.status import StatusTracker, TaskStatus
from support.both import Both

STATES = ("waits", "runs", "succeeded", "dead", "revoked", "unknown")
ALIVE = ("waits", "runs")


@pytest.fixture
def journal() -> Iterator[Journal]:
    """A journal with a task in each state, its id the name of the state."""
    with Journal("memory://") as opened:
        broker = Broker(opened)
        opened.append(names.JOINED, {"worker": "w", "lease_ms": 60_000})
        for state in STATES[:-1]:
            broker.submit(message_of(state))
        for state, outcome in (("runs", None), ("succeeded", names.SUCCEEDED), ("dead", names.FAILED)):
            claim = opened.append(names.CLAIMED, {"task": state, "worker": "w"}, state).offset
            if outcome is not None:
                context: dict[str, Any] = {"task": state, "worker": "w", "claim": claim}
                opened.append(outcome, {**context, "exception": {"name": "KeyError", "text": "x"}}, state)
        broker.revoke("revoked")
        yield opened


def message_of(uuid: str) -> Message:
    return Message("work", uuid=uuid, args=[1], backoff_settings=ConstantBackoff(60_000).settings)


@pytest.fixture(params=[Broker, AsyncBroker], ids=["sync", "async"])
def broker(request: pytest.FixtureRequest, journal: Journal) -> Any:
    return Both(request.param(journal))


def state_of(journal: Journal, task: str) -> State:
    from journeyman.tasks.lookup import task_lookup

    found = journal.run(task_lookup(journal.asynchronous).find(task)).task
    return found.state if found is not None else State.UNKNOWN


def claim_of(journal: Journal, task: str) -> int:
    return next(
        event.offset
        for event in reversed(journal.read().events)
        if event.name == names.CLAIMED and event.context["task"] == task
    )


@pytest.mark.parametrize("state", STATES)
def test_exists_while_the_task_waits_or_runs(broker: Any, state: str) -> None:
    assert broker.exists(state) is (state in ALIVE)
    assert broker.in_dlq(state) is (state == "dead")


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(
    ("call", "disposition", "to"),
    [
        ("ack", Disposition.ACKNOWLEDGED, State.SUCCEEDED),
        ("fail", Disposition.DEAD_LETTERED, State.FAILED),
        ("remove", Disposition.REVOKED, State.REVOKED),
    ],
)
def test_ending_says_what_became_of_the_task(
    broker: Any, journal: Journal, state: str, call: str, disposition: Disposition, to: State
) -> None:
    before = state_of(journal, state)
    effect = getattr(broker, call)(state, by="ada", reason="cleaning")
    assert (effect.event.context["by"], effect.event.context["reason"]) == ("ada", "cleaning")
    if state in ALIVE:
        assert effect
        assert effect.disposition is disposition
        assert state_of(journal, state) is to
        assert not broker.exists(state)
        late = {"task": state, "worker": "w", "claim": claim_of(journal, "runs")}
        journal.append(names.SUCCEEDED, late, state)
        assert state_of(journal, state) is to, "a late outcome is refused"
        assert not getattr(broker, call)(state)
    else:
        assert not effect
        assert effect.disposition is (Disposition.UNKNOWN if state == "unknown" else Disposition.ALREADY_ENDED)
        assert state_of(journal, state) is before


def test_removed_task_has_no_hooks_called(broker: Any) -> None:
    assert broker.remove("waits").event.context["hooks"] is False
    assert "hooks" not in broker.revoke("runs").event.context


@pytest.mark.parametrize("call", ["ack", "fail", "retry"])
def test_former_claim_has_no_say(broker: Any, journal: Journal, call: str) -> None:
    claim = claim_of(journal, "runs")
    effect = getattr(broker, call)("runs", claim=claim - 1)
    assert (bool(effect), effect.disposition) == (False, Disposition.NOT_HELD)
    assert state_of(journal, "runs") is State.CLAIMED
    assert getattr(broker, call)("runs", claim=claim)


def test_failed_message_is_a_dead_letter_with_its_exception(broker: Any, journal: Journal) -> None:
    message = message_of("waits")
    message.exception_details = parse_exception(ValueError("no such city"))
    assert broker.fail(message)
    assert broker.in_dlq(message)
    with pytest.raises(TaskFailedError, match="ValueError: no such city"):
        ResultStore(journal).get(message)
    assert broker.sync_from_journal(message).exception_details == message.exception_details
    assert broker.requeue(message).disposition is Disposition.REQUEUED


@pytest.mark.parametrize("state", STATES)
def test_retry_counts_an_attempt_and_waits_for_the_backoff(broker: Any, journal: Journal, state: str) -> None:
    message = message_of(state)
    if state not in ALIVE:
        with pytest.raises(MessageDoesNotExistsError, match="requeue" if state == "dead" else "does not wait or run"):
            broker.retry(message)
        assert message.retries == 0
        return
    before = time.time()
    effect = broker.retry(message)
    assert (effect.disposition, message.retries) == (Disposition.RESCHEDULED, 1)
    assert before + 60 <= effect.event.context["due"] <= time.time() + 60
    status = StatusTracker(journal).get(message)
    assert status.status is TaskStatus.RETRYING
    assert status.details is not None
    assert status.details["attempts"] == 1
    assert broker.retry(state), "by its id, with the backoff of its submission"
    stored = broker.sync_from_journal(state)
    assert (stored.retries, stored.ready, stored.due > before + 59) == (2, False, True)


def test_stored_message_is_as_the_journal_has_it(broker: Any) -> None:
    assert broker.sync_from_journal("waits").data == {
        **message_of("waits").data,
        **{name: broker.sync_from_journal("waits").data[name] for name in ("created_at", "updated_at")},
    }
    dead = broker.sync_from_backend(message_of("dead"))
    assert (dead.retries, dead.args) == (0, (1,))
    assert dead.exception_details is not None
    assert (dead.exception_details.name, dead.exception_details.text) == ("KeyError", "x")
    with pytest.raises(KeyError, match="no message 'unknown' in the journal"):
        broker.sync_from_journal("unknown")


# -- time to live ----------------------------------------------------------------------------------------------------


def test_message_lapses_when_its_time_is_over(broker: Any, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    message, store = Message("work"), ResultStore(journal)
    broker.submit(message, ttl=60_000)
    assert broker.exists(message)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 61)
    status = StatusTracker(journal).get(message)
    assert status.status is TaskStatus.FAILED
    assert status.details is not None
    assert (status.details["reason"], status.details["revoked"]) == ("expired", False)
    assert not broker.exists(message)
    assert not broker.in_dlq(message)
    with pytest.raises(TaskFailedError, match="lapsed") as raised:
        store.get(message)
    assert (raised.value.reason, raised.value.revoked) == ("expired", False)
    assert broker.ack(message).disposition is Disposition.ALREADY_ENDED
    assert [event.name for event in journal.read().events if event.key == message.uuid].count(names.LAPSED) == 1


def test_waiting_reader_ends_the_task_that_lapses(broker: Any, journal: Journal) -> None:
    waited, asked = Message("work"), Message("work")
    for message in (waited, asked):
        broker.submit(message, ttl=50)
    with pytest.raises(TaskFailedError, match="lapsed"):
        ResultStore(journal).get(waited, timeout=60_000)
    assert StatusTracker(journal).wait_for(asked, TaskStatus.FAILED, timeout=60) is TaskStatus.FAILED


def test_running_task_does_not_lapse(broker: Any, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    message = Message("work")
    broker.submit(message, ttl=60_000)
    journal.append(names.CLAIMED, {"task": message.uuid, "worker": "w"}, message.uuid)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 61)
    assert StatusTracker(journal).get(message).status is TaskStatus.RUNNING


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "1h"])
def test_ttl_that_is_no_duration_is_refused(broker: Any, journal: Journal, wrong: Any) -> None:
    with pytest.raises(ValidationError, match="ttl is a whole number of ms"):
        broker.submit(Message("work"), ttl=wrong)
    for kind in (Broker, AsyncBroker):
        with pytest.raises(ValidationError, match="dlq_ttl is a whole number of ms"):
            kind(journal, dlq_ttl=wrong)


def test_ttl_that_ends_before_the_delay_is_refused(broker: Any) -> None:
    with pytest.raises(ValidationError, match="would never run"):
        broker.submit(Message("work", delay=60_000), ttl=5_000)


@pytest.mark.parametrize("kind", [Broker, AsyncBroker])
def test_old_dead_letters_are_purged_when_asked_for(
    journal: Journal, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgetful, other = Both(kind(journal, dlq_ttl=timedelta(minutes=1))), Both(kind(journal))
    assert forgetful.in_dlq("dead")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 61)
    assert other.in_dlq("dead")
    assert forgetful.requeue("dead").disposition is Disposition.NOT_A_DEAD_LETTER
    assert not other.in_dlq("dead")
