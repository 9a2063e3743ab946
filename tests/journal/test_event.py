"""The event and its encoding: a round trip keeps every field, and an invalid draft is refused with a sentence."""

import itertools
import json
import math
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from journeyman.journal import Draft, Event, EventTooLarge, InvalidEvent, Journal, Position, draft
from journeyman.journal.event import check, encode_context, number_all, place, record, record_with
from journeyman.journal.event_decoding import decode, decode_all
from journeyman.journal.limits import (
    CLOCK_STEP_SECONDS_MAX,
    EVENT_BYTES_MAX,
    EVENT_OVERHEAD_BYTES_MAX,
    KEY_CHARS_MAX,
    NAME_CHARS_MAX,
    TIMESTAMP_SECONDS_MAX,
)
from journeyman.journal.writer import Writer

characters = st.characters(codec="utf-8")
text = st.text(characters)
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)
contexts = st.dictionaries(text, json_values, max_size=5)
names = st.from_regex(r"\A[A-Za-z0-9_-]{1,12}(\.[A-Za-z0-9_-]{1,12}){0,4}\Z")
keys = st.none() | st.text(characters, max_size=60)
microseconds = st.integers(0, int(TIMESTAMP_SECONDS_MAX) * 1_000_000)


@given(names, contexts, keys, microseconds, st.integers(1, 1_000), st.integers(0, 2**40))
def test_event_round_trips_through_a_record(
    name: str, context: dict[str, Any], key: str | None, at: int, version: int, offset: int
) -> None:
    drafted = draft(name, context, key, version=version)
    drafted.writer, drafted.seq = "w" * 32, 7
    event, row = record(drafted, at / 1_000_000)
    place(event, 3, offset)
    back = decode(row, 3, offset)
    for each in (event, back):
        assert (each.name, each.key, each.version, each.writer, each.seq) == (name, key, version, "w" * 32, 7)
        assert each.context == context
        assert each.position == Position(3, offset)
        assert round(each.timestamp * 1_000_000) == at, "microseconds survive the float and the text"
    assert len(row) <= check(drafted), "the size that is checked is never less than the real one"
    readable = json.loads(row)
    assert list(readable)[:2] == ["timestamp", "name"], "people read it, with tail and jq"
    assert readable.get("context", {}) == context


@settings(max_examples=40)
@given(st.lists(st.tuples(names, contexts, keys), max_size=4), st.integers(0, 10**6), st.integers(1, 10**16))
def test_batch_recording_equals_recording_each(
    items: list[tuple[str, dict[str, Any], str | None]], seq: int, last: int
) -> None:
    drafts, again = ([draft(*item) for item in items] for _ in range(2))
    events, rows = record_with(drafts, "w", seq, last, 40)
    number_all(drafts, "w", seq + 1)
    for number, (drafted, event, row) in enumerate(zip(again, events, rows, strict=True), start=1):
        drafted.writer, drafted.seq = "w", seq + number
        single, single_row = record(drafted, (last + number) / 1_000_000)
        assert (row, drafts[number - 1]) == (single_row, drafted)
        assert place(single, 0, 39 + number).position == event.position
        assert bytes(single.context_json) == bytes(event.context_json)
    assert [each.position for each in decode_all(rows, 0, range(40, 40 + len(rows)))] == [e.position for e in events]


def test_unknown_fields_pass_and_context_keys_survive() -> None:
    row = b'{"timestamp":1.5,"name":"a.b","context":{"new":{"thing":1}},"colour":"blue","writer":"w","seq":1}'
    event = decode(row, 0, 9)
    assert event.context == {"new": {"thing": 1}}
    assert decode(b'{"timestamp":1.5,"name":"a.b"}', 0, 9).context == {}


def test_bad_row_is_named_by_its_position() -> None:
    for row in (b"not json", b"[1]", b'{"name":"a.b"}', b'{"timestamp":"now","name":"a.b"}', b"\xff"):
        with pytest.raises(InvalidEvent, match=r"record at 2:17 is not an event.*another program"):
            decode(row, 2, 17)
    good = b'{"timestamp":1.5,"name":"a.b"}'
    with pytest.raises(InvalidEvent, match=r"record at 2:18 is not an event"):
        decode_all([good, b"bad", good], 2, [17, 18, 19])
    assert [event.position for event in decode_all([good, good], 2, [17, 18])] == [Position(2, 17), Position(2, 18)]


@pytest.mark.parametrize(
    "name",
    ["", "two words", "a..b", ".a", "a.", "a/b", "ä.b", "a\n", "n" * (NAME_CHARS_MAX + 1), 7, None, ["a"], {"a": 1}],
)
def test_invalid_event_names_are_refused(name: Any) -> None:
    with pytest.raises(InvalidEvent, match=r"name is dotted words.*such as 'order\.paid'"):
        check(Draft(name))


@pytest.mark.parametrize("name", ["a", "order.paid", "n" * NAME_CHARS_MAX, "a-b_c.D9"])
def test_valid_event_names_are_accepted(name: str) -> None:
    check(Draft(name))


@pytest.mark.parametrize("key", ["k" * (KEY_CHARS_MAX + 1), 7, b"bytes", "half a pair \ud800"])
def test_invalid_keys_are_refused(key: Any) -> None:
    with pytest.raises(InvalidEvent, match=f"key of .a\\.b. must be a string of at most {KEY_CHARS_MAX}"):
        draft("a.b", {}, key)


@pytest.mark.parametrize("timestamp", [float("nan"), float("inf"), -0.001, TIMESTAMP_SECONDS_MAX + 1])
def test_invalid_times_are_refused(timestamp: float) -> None:
    with pytest.raises(InvalidEvent, match=r"timestamp of .a\.b. must be seconds since 1970"):
        check(Draft("a.b", timestamp=timestamp))


@pytest.mark.parametrize("context", [[1], "text", 7, {("tuple",)}])
def test_contexts_that_are_no_objects_are_refused(context: Any) -> None:
    with pytest.raises(InvalidEvent, match=r"context of .a\.b. must be a mapping"):
        draft("a.b", context)


@pytest.mark.parametrize("value", [object(), {1: 2}, {"a": {1, 2}}, 2**70, "half a pair \ud800"])
def test_contexts_that_json_cannot_hold_are_refused(value: Any) -> None:
    with pytest.raises(InvalidEvent, match=r"context of .a\.b. cannot be written as JSON"):
        draft("a.b", {"value": value})


@dataclass
class Measured:
    value: float


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (math.nan, ""),
        ([math.inf], r"\[0\]"),
        ({"a": {"b": (-math.inf,)}}, r"\.a\.b\[0\]"),
        ([None, math.nan], r"\[1\]"),
    ],
    ids=repr,
)
def test_numbers_outside_json_are_refused_and_not_nulled(value: Any, place: str) -> None:
    said = rf"context of .a\.b. cannot be written as JSON: context\.value{place} is -?(nan|inf), .* pass None or text"
    with pytest.raises(InvalidEvent, match=said):
        draft("a.b", {"value": value})


def test_nulls_and_the_word_null_are_accepted() -> None:
    assert b"null" in draft("a.b", {"value": [None, "null", (1, 2)]}).context


class Level(StrEnum):
    HIGH = "high"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (datetime(2026, 11, 22, tzinfo=UTC), r"datetime.datetime, .*value.isoformat\(\)"),
        (UUID(int=7), r"uuid.UUID, .*str\(value\)"),
        (Measured(1.5), r"Measured, .*dataclasses.asdict\(value\)"),
        (Level.HIGH, r"Level, .*value.value"),
        (OrderedDict(a=1), r"OrderedDict, .*dict\(value\)"),
        (b"raw", r"bytes, .*value.decode\(\)"),
        ({1, 2}, r"set, .*sorted\(value\)"),
        ({1: "a"}, r"has the key 1 of type int; write keys as text"),
        (2**64, "more than 64 bits"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("is_nested", [False, True])
def test_values_that_json_would_change_are_refused_with_place(value: Any, said: str, *, is_nested: bool) -> None:
    place = r"context.value\[0\].in " if is_nested else "context.value "
    given = [{"in": value}] if is_nested else value
    with pytest.raises(InvalidEvent, match=place + ".*" + said), Journal("memory://") as journal:
        journal.append_all([("a.b", {"plain": 1}), ("a.b", {"value": given})])
    with pytest.raises(InvalidEvent, match=place + ".*" + said):
        draft("a.b", {"value": given})


def test_context_may_be_any_mapping() -> None:
    from types import MappingProxyType

    assert encode_context("a.b", MappingProxyType({"a": 1})) == b'{"a":1}'
    assert encode_context("a.b", None) == b"{}"


def test_event_size_limit_is_exact() -> None:
    fits = EVENT_BYTES_MAX - EVENT_OVERHEAD_BYTES_MAX - len("a.b")
    assert check(Draft("a.b", b"x" * fits)) == EVENT_BYTES_MAX
    with pytest.raises(EventTooLarge, match=r"limit is 1,048,576.*reference in the event"):
        check(Draft("a.b", b"x" * (fits + 1)))
    with pytest.raises(EventTooLarge):
        check(Draft("a.b", b"x" * fits, "k"))


def test_event_overhead_covers_writer_additions() -> None:
    drafted = Draft("a.b", b"{}", "", version=2**31, writer=Writer().id, seq=2**63 - 1)
    _, row = record(drafted, TIMESTAMP_SECONDS_MAX - 1e-6)
    assert len(row) - len(drafted.name) - len(drafted.context) <= EVENT_OVERHEAD_BYTES_MAX


def test_name_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journeyman.journal.event.KNOWN_NAMES_MAX", 10)
    from journeyman.journal.event import _known_names

    for number in range(100):
        check(Draft(f"name.n{number}"))
    assert len(_known_names) <= 10


def test_event_is_frozen() -> None:
    event = Event(1.0, "a.b")
    with pytest.raises(AttributeError):
        event.name = "other"  # type: ignore[misc]
    assert event.context == {}
    assert event.context is not event.context, "decoded anew: no reader changes another's"


@given(st.floats(1, 2**32), st.lists(st.floats(0, CLOCK_STEP_SECONDS_MAX * 0.9), min_size=1, max_size=30))
@example(4294967291.7105, [0.0])
def test_writer_times_rise_when_its_clock_steps_back(start: float, steps: list[float]) -> None:
    writer = Writer()
    stamped = [writer.stamp(start)] + [writer.stamp(start - each) for each in steps]
    assert all(earlier < later for earlier, later in itertools.pairwise(stamped))
    assert stamped[0] == pytest.approx(start, abs=1e-6)
    writer.catch_up(stamped[-1] + 0.5)
    writer.catch_up(stamped[-1] + 0.5)
    assert writer.stamp(start) > stamped[-1] + 0.5


def test_explicit_time_is_kept_to_the_microsecond() -> None:
    assert Writer().stamp(1_795_305_600.123457) == 1_795_305_600.123457


def test_writer_numbers_each_draft_once() -> None:
    writer = Writer("me")
    first, second = Draft("a.b"), Draft("a.b")
    for each in (first, second, first):
        writer.number(each)
    assert (first.writer, first.seq, second.seq) == ("me", 1, 2)
    writer.forget(first)
    assert (first.writer, first.seq) == ("", 0)
    writer.number(first)
    assert first.seq == 3, "a number is never given twice"
    assert Writer().id != Writer().id


def test_draft_is_a_struct_that_compares_by_value() -> None:
    assert draft("a.b", {"a": 1}, "k", version=2) == Draft("a.b", b'{"a":1}', "k", version=2)
    assert msgspec.structs.replace(draft("a.b"), name="c.d").name == "c.d"
