"""The condition that a record carries, and the pure rule by which every reader drops what was refused.

Kafka compares nothing before it appends. So a conditional append is sent with what its writer knew, and the records in
front of it decide: it is refused if one of its keys stands between the offset up to which the writer had looked and
the append's own place, or if too many offsets lie between. The rule looks at that stretch alone, so a reader that
begins anywhere reaches the same verdict, and the writer reads the stretch to learn whether it was refused.

A record in between that may itself be refused counts as standing, unless it is refused for certain: it had not looked
as far as an event of its key that this writer knows of. Then both are refused, and the second writer tries again.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from .limits import CONDITION_EVENTS_MAX

HEADER: Final = "journeyman-condition"
Headers = Sequence[tuple[str, bytes | None]]


class Condition(msgspec.Struct, frozen=True, omit_defaults=True):
    """What stands in the header of each record of a conditional append.

    - `at`: the record's number in its append, from 0; only the first one carries the rest.
    - `checked`: the offset up to which the writer has looked and found no conflict.
    - `keys`: no event of these may stand behind `checked`; `whole`: no record at all.
    - `last`: for some of the keys, an event of it, at or before `checked`, that the writer knows to stand.
    """

    at: int = 0
    checked: int = -1
    keys: tuple[str, ...] = ()
    last: dict[str, int] = {}
    whole: bool = False


class Standing(NamedTuple):
    """A record between: where it stands, its key, and the condition that it carries."""

    offset: int
    key: str | None
    condition: Condition | None


_decoder: Final = msgspec.json.Decoder(Condition)
_encoder: Final = msgspec.json.Encoder()


def condition_in(headers: Headers) -> Condition | None:
    """The condition in a record's headers; None if it has none."""
    for name, value in headers:
        if name == HEADER:
            try:
                return _decoder.decode(value or b"")
            except (msgspec.MsgspecError, ValueError):
                return None
    return None


def has_conditions(headers_of_records: Iterable[Headers]) -> bool:
    """Whether any of the records carries a condition."""
    return any(condition_in(headers) is not None for headers in headers_of_records if headers)


def headers_of(condition: Condition, records: int) -> list[list[tuple[str, bytes]]]:
    """The headers of each record of an append."""
    rest = [[(HEADER, _encoder.encode(Condition(at=at)))] for at in range(1, records)]
    return [[(HEADER, _encoder.encode(condition))], *rest]


def is_stale(condition: Condition, base: int) -> bool:
    """Whether it is refused at `base` whatever stands in between."""
    if condition.whole:
        return condition.checked + 1 != base
    return base - condition.checked - 1 >= CONDITION_EVENTS_MAX


def is_refused(condition: Condition, base: int, between: Iterable[Standing]) -> bool:
    """Whether the append whose first record stands at `base` is refused; `between`: the records since `checked`."""
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
    """How far back from `offset` the records from there on, with their conditions, need others to be judged by."""
    lowest = offset
    for place, condition in records:
        if condition is None:
            continue
        base = place - condition.at
        needed = base if condition.at or is_stale(condition, base) else condition.checked + 1
        lowest = min(lowest, needed)
    return lowest


def _is_certainly_refused(other: Condition, base: int, condition: Condition) -> bool:
    """Whether another conditional append is refused, by what the writer of `condition` knows."""
    if is_stale(other, base):
        return True
    return not other.whole and any(other.checked < condition.last.get(key, -1) for key in other.keys)
