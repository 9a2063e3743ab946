"""The fields of a message by the names of the reference: defaults, what is written, readiness, exceptions."""

import traceback
from typing import Any

import pytest
from journeyman.journal.event import record
from journeyman.tasks import (
    ConstantBackoff,
    ExceptionDetails,
    Message,
    ValidationError,
    get_exception_name,
    message,
    parse_exception,
)
from journeyman.tasks.message_encoding import decode_message
from journeyman.tasks.submitting import submission

REFERENCE_ORDER = (
    "task_name", "queue", "args", "kwargs", "priority", "metadata", "exception_details", "result_ttl", "uuid",
    "progenitor_uuid", "retries", "timeout", "created_at", "updated_at", "delay", "previous_result",
    "previous_message_uuid", "callback_message_data", "backoff_settings", "mechanism", "linked_lock",
)  # fmt: skip
DETAILS = ExceptionDetails("ValueError", "no such city", "Traceback …")


def full() -> Message:
    """A message with every field set."""
    return Message(
        "send", "mail", [1, "a"], {"to": "ada"}, 2, {"m": 1}, DETAILS, 5_000, "mine", "root", 1, 7_000, 10, 20, 5,
        {"sent": 1}, "before", {"uuid": "next", "callback_message_data": {"uuid": "last"}},
        ConstantBackoff(30, floor=0).settings, "process", {"name": "lock", "owner_id": "me"},
    )  # fmt: skip


def written(sent: Message) -> Message:
    return decode_message(record(submission(sent), 1.0)[1])


def test_message_takes_fields_in_the_order_of_the_reference() -> None:
    sent = full()
    assert Message.__struct_fields__[: len(REFERENCE_ORDER)] == REFERENCE_ORDER
    assert (sent.task_name, sent.queue, sent.args, sent.kwargs) == ("send", "mail", (1, "a"), {"to": "ada"})
    assert (sent.uuid, sent.retries, sent.updated_at, sent.mechanism) == ("mine", 1, 20, "process")


def test_none_stands_for_each_default() -> None:
    fields: dict[str, Any] = {
        name: None for name in Message.__struct_fields__ if name not in {"task_name", "max_retries"}
    }
    made, plain = Message("send", **fields), Message("send")
    assert made.update(uuid=plain.uuid, created_at=plain.created_at) == plain
    assert (made.args, made.kwargs, made.updated_at) == ((), {}, made.created_at)


def test_data_makes_an_equal_message() -> None:
    for sent in (full(), Message("send"), Message("send", delay=5).increment_retries()):
        again = Message(**sent.data)
        assert again.data == sent.data
        assert again == sent
        assert list(sent.data) == list(Message.__struct_fields__)


def test_full_message_survives_the_journal() -> None:
    assert written(full()) == full()


def test_unset_fields_are_not_written() -> None:
    context = submission(Message("send")).context
    assert not any(name.encode() in context for name in (*REFERENCE_ORDER[2:8], *REFERENCE_ORDER[13:], "expires"))


def test_message_is_hashed_by_id_and_equal_by_content() -> None:
    sent = Message("send")
    twin = sent.clone()
    assert len({sent, twin, sent.duplicate()}) == 2
    assert twin == sent
    twin.priority = 3
    assert twin != sent
    assert hash(twin) == hash(sent)


def test_repr_shows_every_field() -> None:
    shown = repr(full())
    assert all(f"{name}=" in shown for name in Message.__struct_fields__)


def test_exception_details_are_data_and_writable() -> None:
    sent = Message("send")
    assert sent.exception_details is None
    for value in (DETAILS, DETAILS.as_dict()):
        sent.exception_details = value
        assert sent.exception_details == DETAILS
        assert sent.data["exception_details"] == DETAILS.as_dict()
        assert written(sent).exception_details == DETAILS
    assert Message("send", exception_details=DETAILS).exception_details == DETAILS
    sent.exception_details = None
    assert written(sent).exception_details is None


def test_descendants_are_listed_nearest_first() -> None:
    assert full().descendant_uuids == ["next", "last"]
    assert Message("send").descendant_uuids is None


def test_ephemeral_state_is_never_written_or_copied() -> None:
    sent = Message("send")
    assert sent.ephemeral_state == {}
    assert sent.add_to_ephemeral_state(a=1).ephemeral_state == {"a": 1}
    with pytest.raises(KeyError, match="already in the ephemeral state: a"):
        sent.add_to_ephemeral_state(a=2)
    with pytest.raises(ValueError, match="nothing to add"):
        sent.add_to_ephemeral_state()
    assert written(sent) == sent
    assert written(sent).ephemeral_state == sent.clone().ephemeral_state == {}
    assert "ephemeral_state" not in sent.data


def test_failed_message_is_ready_after_its_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000
    monkeypatch.setattr(message, "now_ms", lambda: now)
    sent = Message("send", created_at=now - 50_000, backoff_settings=ConstantBackoff(30_000, floor=0).settings)
    assert (sent.ready, sent.ready_at, sent.get_backoff_duration()) == (True, now - 50_000, 0)
    assert sent.increment_retries() is sent
    assert (sent.retries, sent.updated_at, sent.get_backoff_duration()) == (1, now, 30_000)
    assert (sent.ready, sent.ready_at, sent.ttr) == (False, now + 30_000, 30_000)
    now += 30_000
    assert (sent.ready, sent.ttr) == (True, 0)


def test_new_delay_moves_due() -> None:
    sent = Message("send", created_at=1_000)
    assert sent.update(delay=500).due == 1.5
    assert sent.ready_at == 1_500
    assert sent.update(delay=0).due == 0.0


@pytest.mark.parametrize("wrong", [{"expires": -1e300}, {"exception_details": 5}, {"updated_at": "now"}])
def test_refused_update_leaves_the_message_as_it_was(wrong: dict[str, Any]) -> None:
    sent = full()
    with pytest.raises(ValidationError):
        sent.update(**wrong)
    assert sent == full()


# -- exceptions as data ----------------------------------------------------------------------------------------------


class Outer:
    class Refused(Exception):
        pass


def test_exception_is_parsed_and_made_again() -> None:
    def refuse() -> None:
        raise Outer.Refused("no stock")

    try:
        refuse()
    except Outer.Refused as error:
        details, lines = parse_exception(error), traceback.format_exc()
    assert details == ExceptionDetails(f"{__name__}.Outer.Refused", "no stock", lines)
    assert get_exception_name(Outer.Refused) == details.name
    assert get_exception_name(KeyError("x")) == "KeyError"
    again = details.as_exception()
    assert type(again) is Outer.Refused
    assert again.args == ("no stock",)
    assert type(ExceptionDetails("KeyError").as_exception()) is KeyError


@pytest.mark.parametrize("name", ["no.such.Module", "os.path", "decimal.Missing", "missing", "UnicodeDecodeError"])
def test_exception_that_cannot_be_made_is_told_or_replaced(name: str) -> None:
    details = ExceptionDetails(name, "no stock")
    with pytest.raises((ImportError, AttributeError, TypeError)):
        details.as_exception()
    replaced = details.as_exception(strict=False)
    assert type(replaced) is Exception
    assert str(replaced) == f"{name}: no stock"
