"""`sync_to_journal`: the metadata of a message that waits or is held, for synchronous code and for asyncio alike."""

from collections.abc import Iterator
from typing import Any

import pytest
from journeyman.journal import Journal
from journeyman.tasks import (
    AsyncBroker,
    Broker,
    Disposition,
    Message,
    MessageDoesNotExistsError,
    ValidationError,
)
from journeyman.tasks.state import names
from support.both import Both

LEASE_MS = 60_000


@pytest.fixture
def journal() -> Iterator[Journal]:
    with Journal("memory://") as opened:
        yield opened


@pytest.fixture(params=[Broker, AsyncBroker], ids=["sync", "async"])
def broker(request: pytest.FixtureRequest, journal: Journal) -> Any:
    return Both(request.param(journal))


@pytest.fixture
def message(broker: Any) -> Message:
    made = Message("work", args=[1], kwargs={"when": "now"}, metadata={"step": 1}, tags=["a"])
    broker.submit(made)
    return made


def say(journal: Journal, name: str, message: Message, **context: Any) -> int:
    return journal.append(name, {"task": message.uuid, "worker": "w", **context}, message.uuid).offset


def claimed(journal: Journal, message: Message) -> int:
    journal.append(names.JOINED, {"worker": "w", "lease_ms": LEASE_MS})
    return say(journal, names.CLAIMED, message)


def test_waiting_message_is_read_with_its_new_metadata(broker: Any, message: Message) -> None:
    message.metadata = {"step": 2, "deep": {"x": [1, None]}}
    effect = broker.sync_to_journal(message, by="me", reason="later")
    assert (effect.disposition, bool(effect)) == (Disposition.AMENDED, True)
    assert effect.event.context == {"task": message.uuid, "metadata": message.metadata, "by": "me", "reason": "later"}
    stored = broker.sync_from_journal(message)
    assert {**stored.data, "updated_at": 0} == {**message.data, "updated_at": 0}
    stored.metadata = None
    assert broker.sync_to_backend(stored), "a copy from the journal is as good"
    assert broker.sync_from_backend(message).metadata is None


def test_claimed_message_is_amended_by_its_holder_alone(broker: Any, journal: Journal, message: Message) -> None:
    token = claimed(journal, message)
    message.metadata = {"step": 2}
    for wrong in (None, token + 1):
        assert broker.sync_to_journal(message, claim=wrong).disposition is Disposition.NOT_HELD
    assert broker.sync_from_journal(message).metadata == {"step": 1}
    assert broker.sync_to_journal(message, claim=token).disposition is Disposition.AMENDED
    say(journal, names.RETRIED, message, claim=token, due=5.0, exception={"name": "E", "text": "t"})
    stored = broker.sync_from_journal(message)
    assert (stored.metadata, stored.retries, stored.due) == ({"step": 2}, 1, 5.0)
    assert broker.sync_to_journal(message.update(metadata={"step": 3})), "the attempts that it has not seen stay"
    assert broker.sync_to_journal(message, claim=token).disposition is Disposition.NOT_HELD


@pytest.mark.parametrize("end", [names.SUCCEEDED, names.FAILED])
def test_ended_message_is_not_amended(broker: Any, journal: Journal, message: Message, end: str) -> None:
    token = claimed(journal, message)
    message.metadata = {"step": 2}
    assert broker.sync_to_journal(message, claim=token)
    say(journal, end, message, claim=token)
    last = journal.bounds().end
    with pytest.raises(MessageDoesNotExistsError, match="does not wait or run"):
        broker.sync_to_journal(message)
    assert journal.bounds().end == last
    assert broker.sync_from_journal(message).metadata == {"step": 2}
    if end == names.FAILED:
        context = broker.requeue(message).event.context
        assert context["submission"]["amended"] == token + 1
        assert broker.sync_from_journal(message).metadata == {"step": 2}


def test_unknown_message_is_not_amended(broker: Any) -> None:
    with pytest.raises(MessageDoesNotExistsError, match="it is not known to the journal memory://"):
        broker.sync_to_journal(Message("work"))


@pytest.mark.parametrize(
    ("field", "value"),
    [("args", (2,)), ("kwargs", {}), ("priority", 3), ("queue", "q"), ("delay", 9), ("retries", 4), ("tags", ("b",))],
)
def test_other_changed_field_is_refused_by_name(
    broker: Any, journal: Journal, message: Message, field: str, value: Any
) -> None:
    last = journal.bounds().end
    with pytest.raises(ValidationError, match=rf"{field}.* differs .*revoke the message, and submit a duplicate"):
        broker.sync_to_journal(message.update(**{field: value}))
    assert journal.bounds().end == last


def test_metadata_that_json_cannot_hold_is_refused(broker: Any, message: Message) -> None:
    message.metadata = {"when": {1, 2}}
    with pytest.raises(ValidationError, match="metadata"):
        broker.sync_to_journal(message)
