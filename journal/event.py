"""The event: its fields, their validation, and its one encoding.

An event is a JSON object, RFC 18 style, one per record: ``{"timestamp": …, "name": …, "context": {…}, …}``. `Draft`
is an event that has not happened yet; a log turns it into an `Event` by giving it a writer's number, a time and a
position.
"""

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, repeat
from typing import Any, Final

import msgspec
import orjson
from msgspec.structs import force_setattr

from .cursor import Position
from .depth import is_deeper, place_of_depth
from .errors import EventTooLarge, InvalidEvent, UnreadableRecord
from .json_values import NULL, explain, is_atoms, is_unchanged, refuse_changed, refuse_infinite
from .limits import (
    CONDITION_BYTES_MAX,
    CONTEXT_DEPTH_MAX,
    EVENT_BYTES_MAX,
    EVENT_OVERHEAD_BYTES_MAX,
    KEY_CHARS_MAX,
    KNOWN_NAMES_MAX,
    NAME_CHARS_MAX,
    TIMESTAMP_SECONDS_MAX,
)
from .row_decoder import Moment, Name, RowDecoder, Whole

_dumps: Final = orjson.dumps
EMPTY_CONTEXT: Final = msgspec.Raw(b"{}")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_known_names: dict[str, None] = {}
# A shorter context cannot be too deep: each list or object opens and closes.
_SHALLOW_BYTES: Final = 2 * CONTEXT_DEPTH_MAX


class Event(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Something that happened, at its place in the log.

    - `timestamp`: the writer's wall clock, seconds since the epoch in microsecond steps; rising along a file, and along
      the events of each writer elsewhere, but where a clock was wrong: see `writer.time_after`. Never used to decide
      anything: order is the order of positions.
    - `name`: dotted and in the past tense, such as ``order.paid``.
    - `context_json`: the context as it stands in the log, an encoded JSON object; `context` decodes it.
    - `key`: the subject. Events of one key share a partition and are totally ordered.
    - `writer`, `seq`: the id of its writer, and its number from that writer: the identity that makes a repeat harmless.
    - `version`: the schema version of this name.
    - `partition`, `offset`: the position; not part of the encoding, the log knows it.
    """

    timestamp: Moment
    name: Name
    context_json: msgspec.Raw = msgspec.field(name="context", default=EMPTY_CONTEXT)
    key: str | None = None
    writer: str = ""
    seq: Whole = 0
    version: Whole = 1
    # No field of a record has these names: a record does not contain its position.
    partition: int = msgspec.field(name="@partition", default=0)
    offset: int = msgspec.field(name="@offset", default=-1)

    @property
    def context(self) -> dict[str, Any]:
        """The context, decoded at each call; unknown keys are kept.

        `UnreadableRecord` if another program has written something else there than an object of valid JSON.
        """
        try:
            return context_decoder.decode(self.context_json)
        except msgspec.MsgspecError as error:
            raise UnreadableRecord(
                self.partition, self.offset, bytes(self.context_json), f"its context is not readable ({error})"
            ) from error

    @property
    def position(self) -> Position:
        """The position of the event in the log."""
        return Position(self.partition, self.offset)


class Draft(msgspec.Struct, gc=False):
    """An event before its append, as a writer hands it to a log.

    `context` is an encoded JSON object. `partition` overrides the key's own partition. `timestamp` (seconds since the
    epoch) is for events that carry their own time, such as imported ones; otherwise the log asks its clock. `writer`
    and `seq` are filled in by the log at the first append; handing the same draft in again is a repeat, not a second
    event.

    `origin` is the writer and number of an event imported from another log, which keeps them. The importer must hand in
    each event once, with each writer's numbers rising along each partition.

    `expected` makes the append conditional: it is the offset, in the draft's partition, of the last event that the
    caller has taken into account (-1: none). If an event of the same key stands behind it, or with `whole_partition`
    any event, the log refuses the append with `EventConflict`, and nothing of it lands.
    """

    name: str
    context: bytes = b"{}"
    key: str | None = None
    partition: int | None = None
    timestamp: float | None = None
    version: int = 1
    writer: str = ""
    seq: int = 0
    origin: tuple[str, int] | None = None
    expected: int | None = None
    whole_partition: bool = False


class Distinct(list[Draft]):
    """Drafts that the caller has made for this append, so that none of them appears twice."""

    __slots__ = ()


class Plain(Distinct):
    """New drafts that the caller has made without a time, partition, origin or condition; see `check_all`."""

    __slots__ = ()


def draft(name: str, context: Mapping[str, Any] | None = None, key: str | None = None, *, version: int = 1) -> Draft:
    """Make a valid draft of an event and encode its context; raise `InvalidEvent` or `EventTooLarge`."""
    drafted = Draft(name, encode_context(name, context), key, version=version)
    check(drafted)
    return drafted


def encode_context(name: str, context: Mapping[str, Any] | None) -> bytes:
    """Encode `context` as a JSON object; `InvalidEvent` names the event and the place of what JSON cannot hold.

    What an encoder would convert, such as a datetime, is refused: a reader would get another value.
    """
    if type(context) is dict:  # the usual case, and much faster to test than the others
        plain = context
    elif context is None:
        return b"{}"
    elif isinstance(context, Mapping):
        plain = dict(context)
    else:
        raise InvalidEvent(f"the context of {name!r} must be a mapping (a JSON object), got {type(context).__name__}")
    try:
        if not is_atoms(map(type, plain.values())):
            refuse_changed(plain, "context")
        # Copied: orjson's result was cut from a buffer of a kilobyte, and keeping many of those costs the allocator
        # ten times as much as the encoding (measured: 4.5 µs an event against 0.3 µs).
        encoded = b"%b" % _dumps(plain)
        if encoded.find(NULL) >= 0:
            refuse_infinite(plain, encoded)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidEvent(f"the context of {name!r} cannot be written as JSON: {_cause(plain, error)}.") from error
    return encoded


def encode_contexts(names: Sequence[str], contexts: Sequence[Mapping[str, Any] | None]) -> list[bytes]:
    """Encode the contexts of a batch as `encode_context` does; usual ones without its steps for each."""
    usual = _encode_usual(contexts)
    return usual if usual is not None else list(map(encode_context, names, contexts))


def _encode_usual(contexts: Sequence[Any]) -> list[bytes] | None:
    """Encode dictionaries that JSON holds unchanged; None if one is something else, or cannot be encoded."""
    if not {dict}.issuperset(map(type, contexts)):
        return None
    atoms = is_atoms(map(type, chain.from_iterable(map(dict.values, contexts))))
    if not (atoms or is_unchanged(contexts)):
        return None
    try:
        encoded = [b"%b" % _dumps(context) for context in contexts]  # copied as by `encode_context`
        if b"".join(encoded).find(NULL) >= 0:
            for context, row in zip(contexts, encoded, strict=True):
                refuse_infinite(context, row)
    except (TypeError, ValueError, RecursionError):
        return None
    return encoded


def _cause(context: dict[str, Any], error: Exception) -> Exception:
    """Return the error that names the place of the value, if one can be found."""
    try:
        explain(context, "context")
    except ValueError as placed:
        return placed
    return error


def refuse_deep(context: bytes, what: str, most: int = CONTEXT_DEPTH_MAX) -> None:
    """Raise `InvalidEvent` if lists and objects in the encoded `context` of `what` are nested deeper than `most`."""
    if len(context) > 2 * most and is_deeper(context, most):
        raise InvalidEvent(
            f"{what} has lists or objects nested deeper than CONTEXT_DEPTH_MAX = {CONTEXT_DEPTH_MAX}, at "
            f"{place_of_depth(context, most)}. Flatten it, or encode that part as text."
        )


def check(drafted: Draft) -> int:
    """Raise an error for a draft that breaks a rule or a limit; otherwise return the maximum size of its encoding."""
    name, key, timestamp = drafted.name, drafted.key, drafted.timestamp
    try:
        known = name in _known_names
    except TypeError:
        known = False
    if not known:
        _check_name(name)
    size = len(drafted.context) + len(name) + EVENT_OVERHEAD_BYTES_MAX
    if key is not None:
        if not (isinstance(key, str) and len(key) <= KEY_CHARS_MAX and (key.isascii() or is_encodable(key))):
            raise InvalidEvent(
                f"the key of {name!r} must be a string of at most {KEY_CHARS_MAX} characters, got {key!r:.80}"
            )
        size += 6 * len(key)  # a character takes at most six bytes in JSON; names are plain ASCII
    if drafted.expected is not None:
        size += _check_expected(drafted)
    if timestamp is not None and not 0.0 <= timestamp <= TIMESTAMP_SECONDS_MAX:  # false for what is not a number, too
        raise InvalidEvent(
            f"the timestamp of {name!r} must be seconds since 1970, from 0 to {TIMESTAMP_SECONDS_MAX:,.0f}, "
            f"got {timestamp!r}"
        )
    if len(drafted.context) > _SHALLOW_BYTES:
        refuse_deep(drafted.context, f"the context of {name!r}")
    if size > EVENT_BYTES_MAX:
        raise EventTooLarge(
            f"the event {name!r} takes up to {size:,} bytes, the limit is {EVENT_BYTES_MAX:,}. "
            "Keep large payloads in a store of their own and put a reference in the event."
        )
    return size


def check_all(drafts: Sequence[Draft]) -> tuple[list[int], bool]:
    """Raise errors as `check` does; otherwise return the sizes of the drafts, and whether all are plain.

    Nearly all drafts are plain: new, distinct, and without a number, time, partition, origin or condition. For usual
    drafts the checks of `check` are made inline.
    """
    if type(drafts) is Plain and drafts and not (drafts[0].seq or drafts[-1].seq):  # numbered from first to last
        return sizes_of_plain(drafts), True
    # `object.__hash__` distinguishes drafts as `id` does, without the audit event that `id` raises for each.
    names, sizes = _known_names, []
    plain = type(drafts) is Distinct or len(drafts) == 1 or len(set(map(object.__hash__, drafts))) == len(drafts)
    for drafted in drafts:
        key = drafted.key
        if (
            drafted.seq
            or drafted.timestamp is not None
            or drafted.partition
            or drafted.origin is not None
            or drafted.expected is not None
        ):
            plain = False
            sizes.append(check(drafted))
        elif type(key) is str and key.isascii() and len(key) <= KEY_CHARS_MAX and drafted.name in names:
            length = len(drafted.context)
            size = length + len(drafted.name) + EVENT_OVERHEAD_BYTES_MAX + 6 * len(key)
            sizes.append(size if length <= _SHALLOW_BYTES else check(drafted))
        else:
            sizes.append(check(drafted))
    return sizes, plain


def sizes_of_plain(drafts: Sequence[Draft]) -> list[int]:
    """As `check_all`, for drafts that are known to be plain."""
    names, sizes = _known_names, []
    for drafted in drafts:
        key, length = drafted.key, len(drafted.context)
        if (
            length <= _SHALLOW_BYTES
            and type(key) is str
            and key.isascii()
            and len(key) <= KEY_CHARS_MAX
            and drafted.name in names
        ):
            sizes.append(length + len(drafted.name) + EVENT_OVERHEAD_BYTES_MAX + 6 * len(key))
        else:
            sizes.append(check(drafted))
    return sizes


def _check_expected(drafted: Draft) -> int:
    """Raise `InvalidEvent` for a condition that no log can decide; otherwise return the bytes it adds to the record."""
    expected, key = drafted.expected, drafted.key
    if type(expected) is not int or expected < -1:
        raise InvalidEvent(
            f"the expected offset of {drafted.name!r} is that of the last event known, from 0 up, or -1 for none; "
            f"got {expected!r:.80}"
        )
    if drafted.whole_partition:
        return CONDITION_BYTES_MAX
    if key is None:
        raise InvalidEvent(
            f"{drafted.name!r} expects a position and has no key whose events could stand behind it: give it a key, or "
            "whole_partition=True to expect that no event at all does"
        )
    return CONDITION_BYTES_MAX + 6 * len(key)


def is_encodable(text: str) -> bool:
    """Whether UTF-8 can hold the text."""
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, from a badly decoded file name for example
        return False
    return True


def _check_name(name: str) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > NAME_CHARS_MAX:
        raise InvalidEvent(
            f"an event's name is dotted words of letters, digits, '_' and '-', at most {NAME_CHARS_MAX} characters, "
            f"such as 'order.paid'; got {name!r:.80}"
        )
    if len(_known_names) >= KNOWN_NAMES_MAX:
        _known_names.clear()
    _known_names[name] = None


_encoder: Final = msgspec.json.Encoder()
context_decoder: Final[RowDecoder[dict[str, Any]]] = RowDecoder(dict[str, Any])


def record(drafted: Draft, timestamp: float) -> tuple[Event, bytes]:
    """Make the event of a numbered draft at `timestamp`, still without a position, and its encoding."""
    writer, seq = drafted.origin or (drafted.writer, drafted.seq)
    event = Event(timestamp, drafted.name, msgspec.Raw(drafted.context), drafted.key, writer, seq, drafted.version)
    return event, _encoder.encode(event)


def record_with(
    drafts: Sequence[Draft], writer: str, seq: int, microseconds: int, offset: int
) -> tuple[list[Event], list[bytes]]:
    """Stamp, record and place drafts as of `writer`, counting on from `seq` and `microseconds`, from `offset` on."""
    raw = msgspec.Raw
    numbers = range(seq + 1, seq + 1 + len(drafts))
    moments = range(microseconds + 1, microseconds + 1 + len(drafts))
    events = [
        Event(moment / 1_000_000, each.name, raw(each.context), each.key, writer, number, each.version)
        for each, number, moment in zip(drafts, numbers, moments, strict=True)
    ]
    rows = list(map(_encoder.encode, events))
    _set_all(events, "offset", range(offset, offset + len(events)))
    return events, rows


def number_all(drafts: Sequence[Draft], writer: str, first: int) -> None:
    """Give drafts their writer and its numbers, from `first` up."""
    for number, each in enumerate(drafts, first):
        each.writer, each.seq = writer, number


def place(event: Event, partition: int, offset: int) -> Event:
    """Set the position of an event: once, by the log that recorded or read it, before the event is handed out."""
    if partition:
        force_setattr(event, "partition", partition)
    force_setattr(event, "offset", offset)
    return event


def place_all(events: Sequence[Event], partition: int, offsets: Iterable[int]) -> None:
    """Set the positions of events, as `place` does for one."""
    _set_all(events, "offset", offsets)
    if partition:
        _set_all(events, "partition", repeat(partition))


def stamp_all(events: Sequence[Event], times: Sequence[float]) -> None:
    """Set the times of events that were made before their times were known; before they are handed out."""
    if len(times) != len(events):
        raise ValueError(f"expected {len(events):,} times, one for each event; got {len(times):,}")
    _set_all(events, "timestamp", times)


def _set_all(events: Sequence[Event], field: str, values: Iterable[float]) -> None:
    """Set a field of each event, in a loop of C."""
    deque(map(force_setattr, events, repeat(field), values), maxlen=0)
