"""The depth of JSON, computed from its bytes: an append that is nested too deep is refused, with its place."""

import json
from typing import Any

import journeyman as jm
import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeyman.journal.depth import is_deeper, on_empty_stack, place_of_depth
from journeyman.journal.event import Draft, encode_context
from journeyman.journal.event_decoding import decode
from journeyman.journal.limits import CONTEXT_DEPTH_MAX, RECORD_DEPTH_MAX
from journeyman.workers.executors.result_encoding import UnserialisableResult, _encode_result

_TEXTS = st.text('"\\[]{}:,aé', max_size=6)
_VALUES = st.recursive(
    st.none() | st.integers() | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=30,
)


def depth_of(value: Any) -> int:
    if not isinstance(value, (dict, list)):
        return 0
    return 1 + max(map(depth_of, value.values() if isinstance(value, dict) else value), default=0)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@given(_VALUES, st.booleans())
def test_depth_is_exact_for_json(value: Any, ascii_only: bool) -> None:
    text, depth = json.dumps(value, ensure_ascii=ascii_only).encode(), depth_of(value)
    assert [is_deeper(text, most) for most in range(depth + 3)] == [depth > most for most in range(depth + 3)]
    for most in range(depth + 3):
        assert bool(place_of_depth(json.dumps({"value": value}).encode(), most + 1)) == (depth > most)


def test_place_names_keys_and_indexes() -> None:
    text = json.dumps({"a": [1, 2, {"b, [": [[3]]}]}).encode()
    assert place_of_depth(text, 3) == "a[2].b, ["
    assert place_of_depth(json.dumps({"args": nested(30)}).encode(), 25).startswith("args[0][0][0]")


@pytest.mark.parametrize("url", ["memory://", "sqlite:///{}/journal.db"])
def test_deep_context_is_refused_and_nothing_is_appended(url: str, tmp_path: object) -> None:
    with jm.Journal(url.format(tmp_path)) as journal:
        journal.append("a.b", {"x": nested(CONTEXT_DEPTH_MAX - 1)})
        for depth in (CONTEXT_DEPTH_MAX, 254, 960, 3_000):
            with pytest.raises(jm.InvalidEvent, match=rf"{CONTEXT_DEPTH_MAX}"):
                journal.append("a.b", {"x": nested(depth)})
        encoded = b'{"x":' + b"[" * 960 + b"]" * 960 + b"}"
        with pytest.raises(jm.InvalidEvent, match=r"at x\[0\]"):
            journal.append_drafts([Draft("a.b", encoded)])
        with pytest.raises(jm.InvalidEvent, match=r"at x\[0\]"):
            journal.append_drafts([Draft("a.b", encoded, "key"), Draft("a.b", b"{}", "key")])
        assert sum(journal.bounds().end.values()) == 1


@pytest.mark.parametrize("depth", [200, 500, 960, 3_000])
def test_deep_arguments_are_refused_when_submitted(depth: int) -> None:
    broker = jm.Broker("memory://")
    task = jm.Task(lambda value: value, broker, "work")
    with pytest.raises(jm.ValidationError, match=r"work.*(args\[0\]|recursion)"):
        task.generate(args=[nested(depth)])
    task.generate(args=[nested(CONTEXT_DEPTH_MAX - 2)])


def test_deep_results_are_refused_as_results() -> None:
    with pytest.raises(UnserialisableResult, match="deeper"):
        _encode_result(nested(CONTEXT_DEPTH_MAX))
    encode_context("task.succeeded", {"result": json.loads(_encode_result(nested(CONTEXT_DEPTH_MAX - 1)))})


def test_record_is_readable_at_any_stack_depth() -> None:
    def at(frames: int, row: bytes) -> object:
        if frames:
            return at(frames - 1, row)
        try:
            return len(decode(row, 0, 7).context)
        except jm.UnreadableRecord as error:
            return error.offset

    def row(depth: int) -> bytes:
        return b'{"timestamp":1,"name":"a.b","context":{"x":' + b"[" * depth + b"]" * depth + b"}}"

    for frames in (0, 600):
        assert on_empty_stack(lambda frames=frames: at(frames, row(RECORD_DEPTH_MAX - 2))) == 1  # type: ignore[misc]
        assert on_empty_stack(lambda frames=frames: at(frames, row(RECORD_DEPTH_MAX - 1))) == 7  # type: ignore[misc]
