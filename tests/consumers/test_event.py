"""`JournalEventBase`: the event as a consumer's caller gets it."""

import copy
import pickle
import subprocess
import sys
from typing import Any

import msgspec
import pytest
from journeyman.consumers import JournalConsumer, JournalConsumerBase, JournalEventBase
from journeyman.journal import Event, InvalidEvent, Position

ENTRY = {"timestamp": 12.5, "name": "order.paid", "context": {"order": 7, "by": "ada"}}


class Enriched(JournalEventBase):
    """Adds an attribute in the instance."""

    def __init__(self, entry: Any, job: str) -> None:
        super().__init__(entry)
        self.job = job


class Slotted(JournalEventBase):
    """Adds an attribute in a slot."""

    __slots__ = ("job",)

    def __init__(self, entry: Any, job: str) -> None:
        super().__init__(entry)
        self.job = job


def test_event_is_made_of_an_event_or_an_rfc_18_object() -> None:
    recorded = Event(12.5, "order.paid", msgspec.Raw(b'{"order":7,"by":"ada"}'), "7", "w", 3, 1, 2, 40)
    of_event, of_entry = JournalEventBase(recorded), JournalEventBase(ENTRY)
    for event in (of_event, of_entry):
        assert (event.name, event.timestamp) == ("order.paid", 12.5)
        assert event.context == {"order": 7, "by": "ada"}
        assert not event.is_empty()
    assert (of_event.key, of_event.writer, of_event.seq, of_event.version) == ("7", "w", 3, 1)
    assert of_event.position == Position(2, 40)
    assert of_entry.position is None
    assert of_entry.key is None


def test_event_keeps_journal_metadata() -> None:
    entry = {**ENTRY, "key": "7", "writer": "w", "seq": 3, "partition": 2, "offset": 40, "colour": "red"}
    event = JournalEventBase(entry)
    assert (event.key, event.writer, event.seq, event.position) == ("7", "w", 3, Position(2, 40))


def test_event_leaves_the_callers_mapping_unchanged() -> None:
    entry: dict[str, Any] = {"timestamp": 1.0, "name": "a"}
    JournalEventBase(entry)
    assert entry == {"timestamp": 1.0, "name": "a"}


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ({"name": "a"}, "timestamp"),
        ({"name": "a", "timestamp": "now"}, "Expected `float`"),
        ({"name": 3, "timestamp": 1.0}, "Expected `str`"),
        ({"name": "a", "timestamp": 1.0, "context": [1]}, "must be a mapping"),
        (["a"], "mapping"),
    ],
)
def test_value_that_is_no_event_is_refused_with_a_sentence(entry: Any, complaint: str) -> None:
    with pytest.raises(InvalidEvent, match=complaint):
        JournalEventBase(entry)


@pytest.mark.parametrize(
    ("context", "text"),
    [
        ({}, ""),
        (None, ""),
        ({"b": 1, "a": "ƒ"}, "b=1,a=ƒ"),
        ({"when": None, "ok": True, "x": 1.5}, "when=null,ok=true,x=1.5"),
        ({"list": [1, {"k": "v"}]}, 'list=[1,{"k":"v"}]'),
        (
            {"comma": "a,b", "equals": "a=b", "blank": "a b", "empty": ""},
            'comma="a,b",equals="a=b",blank="a b",empty=""',
        ),
    ],
)
def test_context_string_is_comma_separated_key_value(context: Any, text: str) -> None:
    assert JournalEventBase({"timestamp": 1.0, "name": "a", "context": context}).context_string == text


def test_str_of_an_event_is_readable() -> None:
    assert str(JournalEventBase(ENTRY)) == "12.50000 order.paid order=7,by=ada"
    assert str(JournalEventBase({"timestamp": 1.0, "name": "a"})) == "1.00000 a"
    assert str(JournalEventBase({})) == "End of historical data stream"
    assert repr(JournalEventBase(ENTRY)) == "<JournalEventBase 12.50000 order.paid order=7,by=ada>"


def test_context_is_decoded_once_and_belongs_to_the_event() -> None:
    event = JournalEventBase(ENTRY)
    event.context["order"] = 8
    assert event.context["order"] == 8
    assert JournalEventBase(ENTRY).context["order"] == 7


def test_sentinel_is_empty_and_immutable() -> None:
    sentinel = JournalConsumerBase.SENTINEL_EVENT
    assert sentinel.is_empty()
    assert sentinel is JournalConsumer.SENTINEL_EVENT
    assert (sentinel.name, sentinel.timestamp, sentinel.context, sentinel.context_string) == ("", 0.0, {}, "")
    assert sentinel.position is None
    with pytest.raises(AttributeError):
        setattr(sentinel, "name", "a")  # noqa: B010 - the type checker refuses it as well
    with pytest.raises(AttributeError):
        sentinel.colour = "red"  # type: ignore[attr-defined]


def test_sentinel_is_compared_copied_and_pickled() -> None:
    sentinel = JournalConsumerBase.SENTINEL_EVENT
    for other in (
        copy.copy(sentinel),
        copy.deepcopy(sentinel),
        pickle.loads(pickle.dumps(sentinel)),
        JournalEventBase({}),
    ):
        assert other == sentinel
        assert hash(other) == hash(sentinel)
        assert other.is_empty()
    assert sentinel != JournalEventBase(ENTRY)
    assert sentinel != {}


def test_sentinel_is_the_same_in_every_process() -> None:
    code = (
        "import pickle, sys; from journeyman.consumers import JournalConsumer; "
        "sys.stdout.buffer.write(pickle.dumps(JournalConsumer.SENTINEL_EVENT))"
    )
    pickled = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout
    assert pickle.loads(pickled) == JournalConsumerBase.SENTINEL_EVENT


def test_equality_includes_position_class_and_subclass_fields() -> None:
    assert JournalEventBase(ENTRY) == JournalEventBase(dict(ENTRY))
    assert hash(JournalEventBase(ENTRY)) == hash(JournalEventBase(dict(ENTRY)))
    assert JournalEventBase({**ENTRY, "offset": 1}) != JournalEventBase({**ENTRY, "offset": 2})
    assert JournalEventBase({**ENTRY, "context": {"order": 8}}) != JournalEventBase(ENTRY)
    for kind in (Enriched, Slotted):
        assert kind(ENTRY, "a") == kind(ENTRY, "a")
        assert kind(ENTRY, "a") != kind(ENTRY, "b")
        assert kind(ENTRY, "a") != JournalEventBase(ENTRY)
        assert len({kind(ENTRY, "a"), kind(ENTRY, "a")}) == 1


@pytest.mark.parametrize("kind", [Enriched, Slotted])
def test_subclass_event_is_copied_and_pickled_whole(kind: type[Enriched] | type[Slotted]) -> None:
    event = kind(ENTRY, "a")
    for other in (copy.copy(event), copy.deepcopy(event), pickle.loads(pickle.dumps(event))):
        assert other == event
        assert other.job == "a"
        assert other.context == event.context
