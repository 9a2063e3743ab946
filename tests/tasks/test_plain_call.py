"""The plain call of a message: the same as the message, or none."""

import json
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeyman.journal.limits import TIMESTAMP_SECONDS_MAX
from journeyman.journal.row_decoder import WHOLE_MAX
from journeyman.tasks import Message
from journeyman.tasks.limits import TASK_ID_CHARS_MAX
from journeyman.tasks.message_encoding import decode_message, encode_message
from journeyman.tasks.plain_call import PlainCall, plain_call

FIELDS: Final = tuple(field.encode_name for field in msgspec.structs.fields(PlainCall))
RARE: Final[dict[str, Any]] = {
    "metadata": {"from": "shop"},
    "exception_details": {"name": "E", "text": "", "traceback": ""},
    "result_ttl": 5,
    "progenitor_uuid": "a",
    "updated_at": 1,
    "previous_result": 7,
    "previous_message_uuid": "a",
    "callback_message_data": {"task_name": "next", "uuid": "b"},
    "linked_lock": {"name": "till", "owner": "o", "token": 3},
    "expires": 99.0,
    "serializer": "msgspec",
    "encoded": "x",
    "tags": ("red",),
    "summary": "one",
    "trace": {"traceparent": "00-1-2-01"},
}


def row_of(context: dict[str, Any] | bytes) -> bytes:
    """The record of a submission with that context."""
    encoded = context if isinstance(context, bytes) else json.dumps(context).encode()
    return b'{"timestamp":1.0,"name":"task.submitted","context":%b,"key":"a","writer":"w","seq":1}' % encoded


def values(struct: Any) -> dict[str, Any]:
    """The fields that a plain call has, of it or of a message."""
    return {name: getattr(struct, name) for name in PlainCall.__struct_fields__}


@pytest.mark.parametrize(
    "fields",
    [{}, {"args": [1, "two"], "kwargs": {"three": 3}}, {"delay": 5}, {"priority": 3, "queue": "mail", "named": True}],
)
def test_plain_call_has_what_the_message_has(fields: dict[str, Any]) -> None:
    row = row_of(encode_message(Message("work", **fields)))
    call = plain_call(row)
    assert call is not None
    assert values(call) == values(decode_message(row))


@pytest.mark.parametrize("field", RARE)
def test_message_with_a_rarer_field_is_no_plain_call(field: str) -> None:
    assert set(RARE) == set(Message.__struct_fields__) - set(PlainCall.__struct_fields__)
    encoded = encode_message(Message("work", **{field: RARE[field]}))
    assert b'"%b"' % field.encode() in encoded
    assert plain_call(row_of(encoded)) is None


NUMBERS: Final[st.SearchStrategy[Any]] = st.sampled_from(
    [0, 1, -1, True, 2.5, None, WHOLE_MAX, WHOLE_MAX + 1, -WHOLE_MAX - 1, 2**70, "1"]
)
MOMENTS: Final[st.SearchStrategy[Any]] = st.sampled_from(
    [0, 0.5, 1, -1.5, TIMESTAMP_SECONDS_MAX, TIMESTAMP_SECONDS_MAX * 1.01, -1e12, None]
)
TEXTS: Final[st.SearchStrategy[Any]] = st.sampled_from(
    ["", "a", "é" * TASK_ID_CHARS_MAX, "a" * (TASK_ID_CHARS_MAX + 1), 1, None, [], {}]
)
ANY_FIELDS: Final = st.fixed_dictionaries(
    {"task": TEXTS, "task_name": TEXTS},
    optional=dict.fromkeys(("priority", "retries", "timeout", "created_at", "delay", "max_retries"), NUMBERS)
    | dict.fromkeys(("queue", "mechanism", "function", "args", "kwargs", "backoff_settings", "named", "else"), TEXTS)
    | {"due": MOMENTS},
)


@given(ANY_FIELDS)
def test_plain_call_of_any_fields_is_that_message_or_none(context: dict[str, Any]) -> None:
    row = row_of(context)
    call = plain_call(row)
    if call is not None:
        unsaid = {} if "created_at" in context else {"created_at": call.created_at}  # a message takes the present
        assert values(call) == values(decode_message(row)) | unsaid
        assert set(context) <= set(FIELDS)


@pytest.mark.parametrize("row", [b"", b"{", b"[" * 100_000, b'{"context":1}'])
def test_unreadable_record_is_no_plain_call(row: bytes) -> None:
    assert plain_call(row) is None
