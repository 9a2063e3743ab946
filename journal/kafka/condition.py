"""Encode the condition of a record, and define the pure rule by which every reader drops refused appends.

Kafka has no conditional append. So the writer puts into its records' headers the offset up to which it has checked.
The append is refused if one of its keys occurs between that offset and the append's own, or if too many offsets lie
between. The rule depends on that range alone, so every reader reaches the same verdict wherever it starts, and the
writer reads the range to learn whether its append was refused.

If the range of an append A contains another conditional append B, then B counts as valid, although it may itself be
refused, unless it is certainly refused: as when A's writer knows a valid event of one of B's keys behind the offset up
to which B was checked. So of two concurrent appends both may be refused; the second writer then tries again.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from .limits import CONDITION_EVENTS_MAX

HEADER: Final = "journeyman-condition"
Headers = Sequence[tuple[str, bytes | None]]


class Condition(msgspec.Struct, frozen=True, omit_defaults=True):
    """The header of each record of a conditional append.

    - `at`: the record's index in its append, from 0; only the first record has the other fields.
    - `checked`: the offset up to which the writer has read and found no conflict.
    - `keys`: no event of these may follow after `checked`; `whole`: no record at all may.
    - `last`: for some of the keys, the offset, at or before `checked`, of an event that the writer knows to be valid.
    """

    at: int = 0
    checked: int = -1
    keys: tuple[str, ...] = ()
    last: dict[str, int] = {}
    whole: bool = False


class RecordBetween(NamedTuple):
    """A record in the range checked: its offset, its key, and its own condition."""

    offset: int
    key: str | None
    condition: Condition | None


_decoder: Final = msgspec.json.Decoder(Condition)
_encoder: Final = msgspec.json.Encoder()


def condition_in(headers: Headers) -> Condition | None:
    """Return the condition in a record's headers; None if it has none."""
    for name, value in headers:
        if name == HEADER:
            try:
                return _decoder.decode(value or b"")
            except (msgspec.MsgspecError, ValueError):
                return None
    return None


def has_conditions(headers_of_records: Iterable[Headers]) -> bool:
    """Whether any of the records has a condition."""
    return any(condition_in(headers) is not None for headers in headers_of_records if headers)


def headers_of(condition: Condition, records: int) -> list[list[tuple[str, bytes]]]:
    """Return the headers of each record of an append."""
    rest = [[(HEADER, _encoder.encode(Condition(at=at)))] for at in range(1, records)]
    return [[(HEADER, _encoder.encode(condition))], *rest]


def is_stale(condition: Condition, base: int) -> bool:
    """Whether an append at `base` is refused whatever records are in between."""
    if condition.whole:
        return condition.checked + 1 != base
    return base - condition.checked - 1 >= CONDITION_EVENTS_MAX


def is_refused(condition: Condition, base: int, between: Iterable[RecordBetween]) -> bool:
    """Whether the append whose first record is at `base` is refused; `between`: the records since `checked`."""
    if is_stale(condition, base):
        return True
    keys = frozenset(condition.keys)
    own: dict[int, Condition] = {}  # of the appends in between, by the offsets of their first records
    for record in between:
        carried = record.condition
        if carried is not None and not carried.at:
            own[record.offset] = carried
        if record.key not in keys:
            continue
        first = record.offset - carried.at if carried is not None else record.offset
        if first not in own or not _is_certainly_refused(own[first], first, condition):
            return True
    return False


def lowest_needed(offset: int, records: Iterable[tuple[int, Condition | None]]) -> int:
    """Return the lowest offset needed to judge the conditions of `records`, which start at `offset`."""
    lowest = offset
    for place, condition in records:
        if condition is None:
            continue
        base = place - condition.at
        needed = base if condition.at or is_stale(condition, base) else condition.checked + 1
        lowest = min(lowest, needed)
    return lowest


def _is_certainly_refused(other: Condition, base: int, condition: Condition) -> bool:
    """Whether the writer of `condition` knew enough to conclude that another conditional append is refused."""
    if is_stale(other, base):
        return True
    return not other.whole and any(other.checked < condition.last.get(key, -1) for key in other.keys)
