"""Check the fields of a message, on which the queue's order and the log's keys depend."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeGuard, cast

from ..journal.limits import TIMESTAMP_SECONDS_MAX
from ..journal.row_decoder import WHOLE_MAX
from .errors import ValidationError
from .labels import are_tags, is_summary
from .limits import SUMMARY_CHARS_MAX, TAG_CHARS_MAX, TAGS_MAX, TASK_ID_CHARS_MAX


def is_whole(number: object) -> TypeGuard[int]:
    """Whether it is a whole number, of at most 63 bits; True and False are none."""
    return isinstance(number, int) and not isinstance(number, bool) and abs(number) <= WHOLE_MAX


class _Rule(NamedTuple):
    """A rule for some fields: each must be valid, or the error says what was expected."""

    fields: tuple[str, ...]
    is_valid: Callable[[Any], bool]
    expected: str


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_count(value: object) -> bool:
    return is_whole(value) and value >= 0


def _is_carrier(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for pair in value.items() for each in pair)


def _is_moment(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and -TIMESTAMP_SECONDS_MAX <= cast("float", value) <= TIMESTAMP_SECONDS_MAX  # false for NaN, too


def _or_none(is_valid: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or is_valid(value)


def _is_of(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kind)


_RULES: Final = (
    _Rule(("priority",), _is_count, "a priority is a whole number from 0 up (lower runs first)"),
    _Rule(
        ("uuid",),
        lambda value: _is_name(value) and len(value) <= TASK_ID_CHARS_MAX,
        f"a message's uuid is a string of 1 to {TASK_ID_CHARS_MAX} characters",
    ),
    _Rule(("task_name",), _is_name, "a message names its task"),
    _Rule(
        ("queue", "mechanism", "serializer"), _is_of(str), "a queue, a mechanism and a serializer are names, as text"
    ),
    _Rule(("encoded",), _or_none(_is_of(str)), "encoded is what the serializer has written, as text"),
    _Rule(("max_retries",), _or_none(is_whole), "max_retries is a whole number, or None for no end"),
    _Rule(("retries",), is_whole, "retries is a whole number"),
    _Rule(("delay",), _is_count, "a delay is 0 ms or more, a whole number"),
    _Rule(("timeout",), lambda value: _is_count(value) and value > 0, "a timeout is more than 0 ms, a whole number"),
    _Rule(
        ("result_ttl",),
        _or_none(lambda value: _is_count(value) and value > 0),
        "result_ttl is more than 0 ms, a whole number",
    ),
    _Rule(("created_at", "updated_at"), is_whole, "created_at and updated_at are whole numbers of ms since the epoch"),
    _Rule(("summary",), is_summary, f"a summary is a string of at most {SUMMARY_CHARS_MAX} characters"),
    _Rule(
        ("tags",),
        are_tags,
        f"tags are a list of at most {TAGS_MAX} strings of 1 to {TAG_CHARS_MAX} characters",
    ),
    _Rule(("args",), _is_of(tuple), "args are a list or a tuple"),
    _Rule(("kwargs",), _is_of(dict), "kwargs are a dictionary"),
    _Rule(
        ("metadata", "exception_details", "callback_message_data", "linked_lock", "backoff_settings"),
        _or_none(_is_of(dict)),
        "metadata, exception_details, callback_message_data, linked_lock and backoff_settings are dictionaries",
    ),
    _Rule(("trace",), _or_none(_is_carrier), "trace is a dictionary of texts, such as {'traceparent': …}"),
    _Rule(
        ("progenitor_uuid", "previous_message_uuid"),
        _or_none(_is_name),
        "progenitor_uuid and previous_message_uuid are ids of messages",
    ),
    _Rule(
        ("due", "expires"),
        _is_moment,
        f"due and expires are times in seconds since the epoch, up to {TIMESTAMP_SECONDS_MAX:,.0f}",
    ),
)


def check_fields(data: Mapping[str, Any]) -> None:
    """Raise `ValidationError` if a field of a message breaks a rule, naming it; `data` are all its fields."""
    for rule in _RULES:
        for name in rule.fields:
            if not rule.is_valid(data[name]):
                raise ValidationError(f"{rule.expected}, got {name}={data[name]!r:.80}")


def added(present: dict[str, Any], data: dict[str, Any], where: str) -> dict[str, Any]:
    """Return both, `data` in addition; `KeyError` for a key that is there already, `ValueError` for nothing to add."""
    if not data:
        raise ValueError(f"nothing to add: pass the {where} as keyword arguments")
    if known := set(data) & set(present):
        raise KeyError(f"already in the {where}: {', '.join(sorted(known))}")
    return {**present, **data}
