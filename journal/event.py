"""The event: what it holds, what makes it valid, and its one encoding.

An event is a JSON object, RFC 18 style, one per record: ``{"timestamp": …, "name": …, "context": {…}, …}``. `Draft`
is an event that has not happened yet; a log turns it into an `Event` by giving it a writer's number, a time and a
position.
"""

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import orjson
from msgspec.structs import force_setattr

from .cursor import Position
from .errors import EventTooLarge, InvalidEvent
from .limits import EVENT_BYTES_MAX, EVENT_OVERHEAD_BYTES_MAX, KEY_CHARS_MAX, NAME_CHARS_MAX, TIMESTAMP_SECONDS_MAX

_NULL: Final = b"null"  # looked for by `find`: `in` takes the bytes for a number first, at four times the cost
_dumps: Final = orjson.dumps
EMPTY_CONTEXT: Final = msgspec.Raw(b"{}")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_known_names: dict[str, None] = {}
_KNOWN_NAMES_MAX: Final = 4_096


class Event(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Something that happened, at its place in the log.

    - `timestamp`: the writer's wall clock, seconds since the epoch in microsecond steps; strictly increasing per
      writer, and per log on the embedded log. Never used to decide anything: order is the order of positions.
    - `name`: dotted and in the past tense, such as ``order.paid``.
    - `context_json`: the context as it stands in the log, an encoded JSON object; `context` decodes it.
    - `key`: the subject. Events of one key share a partition and are totally ordered.
    - `writer`, `seq`: who appended it, and its number from that writer: the identity that makes a repeat harmless.
    - `version`: the schema version of this name.
    - `partition`, `offset`: the position; not part of the encoding, the log knows it.
    """

    timestamp: float
    name: str
    context_json: msgspec.Raw = msgspec.field(name="context", default=EMPTY_CONTEXT)
    key: str | None = None
    writer: str = ""
    seq: int = 0
    version: int = 1
    partition: int = 0
    offset: int = -1

    @property
    def context(self) -> dict[str, Any]:
        """The context, decoded anew at each call; unknown keys are kept."""
        return _context_decoder.decode(self.context_json)

    @property
    def position(self) -> Position:
        """Where the event is in the log."""
        return Position(self.partition, self.offset)


class Draft(msgspec.Struct, gc=False):
    """An event to be, as a writer hands it to a log.

    `context` is an encoded JSON object. `partition` overrides the key's own partition. `timestamp` (seconds since the
    epoch) is for events that carry their own time, such as imported ones; otherwise the log asks its clock. `writer`
    and `seq` are filled in by the log at the first append; handing the same draft in again is a repeat, not a second
    event.

    `origin` is the writer and number of an event that was recorded elsewhere and is taken over with them. Whoever takes
    events over sees to it that each is handed in once, and that each writer's numbers rise along each partition.
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


def draft(name: str, context: Mapping[str, Any] | None = None, key: str | None = None, *, version: int = 1) -> Draft:
    """A valid draft of an event, its context encoded; `InvalidEvent` or `EventTooLarge` says what is wrong."""
    drafted = Draft(name, encode_context(name, context), key, version=version)
    check(drafted)
    return drafted


def encode_context(name: str, context: Mapping[str, Any] | None) -> bytes:
    """`context` as a JSON object; `InvalidEvent` names the event and what JSON could not hold."""
    if type(context) is dict:  # as nearly always, and far quicker asked than the rest
        plain = context
    elif context is None:
        return b"{}"
    elif isinstance(context, Mapping):
        plain = dict(context)
    else:
        raise InvalidEvent(f"the context of {name!r} must be a mapping (a JSON object), got {type(context).__name__}")
    try:
        # Copied: what orjson returns was cut from a buffer of a kilobyte, and keeping many of those costs the allocator
        # ten times what the encoding does (measured: 4.5 µs an event against 0.3 µs).
        encoded = b"%b" % _dumps(plain)
        if encoded.find(_NULL) >= 0:
            refuse_infinite(context, encoded)
    except (TypeError, ValueError) as error:
        raise InvalidEvent(f"the context of {name!r} cannot be written as JSON: {error}") from error
    return encoded


def refuse_infinite(value: Any, encoded: bytes) -> None:
    """`ValueError` if `value` has an infinite number or NaN: JSON has none, and encoders write null in their place.

    A null in the encoding is rare enough, and cheap enough to look for, that only then the value is walked through.
    """
    if encoded.find(_NULL) >= 0:
        try:
            json.dumps(value, allow_nan=False, skipkeys=True, default=_parts)
        except ValueError as error:
            raise ValueError(
                "it has NaN or an infinite number, which JSON has not; write them as None or as text"
            ) from error


def _parts(value: Any) -> Any:
    """What is inside a value that the standard library's JSON does not know; None if nothing is."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return list(value)
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return getattr(value, "value", None)  # an enumeration's


def check(drafted: Draft) -> int:
    """Refuse a draft that breaks a rule or a limit; otherwise the most bytes its encoding can take."""
    name, key, timestamp = drafted.name, drafted.key, drafted.timestamp
    try:
        known = name in _known_names
    except TypeError:
        known = False
    if not known:
        _check_name(name)
    size = len(drafted.context) + len(name) + EVENT_OVERHEAD_BYTES_MAX
    if key is not None:
        if not (isinstance(key, str) and len(key) <= KEY_CHARS_MAX and (key.isascii() or _is_encodable(key))):
            raise InvalidEvent(
                f"the key of {name!r} must be a string of at most {KEY_CHARS_MAX} characters, got {key!r:.80}"
            )
        size += 6 * len(key)  # a character takes at most six bytes in JSON; names are plain ASCII
    if timestamp is not None and not 0.0 <= timestamp <= TIMESTAMP_SECONDS_MAX:  # false for what is not a number, too
        raise InvalidEvent(
            f"the timestamp of {name!r} must be seconds since 1970, from 0 to {TIMESTAMP_SECONDS_MAX:,.0f}, "
            f"got {timestamp!r}"
        )
    if size > EVENT_BYTES_MAX:
        raise EventTooLarge(
            f"the event {name!r} takes up to {size:,} bytes, the limit is {EVENT_BYTES_MAX:,}. "
            "Keep large payloads in a store of their own and put a reference in the event."
        )
    return size


def check_all(drafts: Sequence[Draft]) -> tuple[list[int], bool]:
    """Refuse drafts as `check` does; otherwise their sizes, and whether all are plain.

    Plain drafts, as nearly all are, are new and different ones without a number, time, place or origin of their own.
    What `check` asks of one is asked here in one go where the answers are the usual ones.
    """
    names, sizes, plain = _known_names, [], len(drafts) == 1 or len(set(map(id, drafts))) == len(drafts)
    for drafted in drafts:
        key = drafted.key
        if drafted.seq or drafted.timestamp is not None or drafted.partition or drafted.origin is not None:
            plain = False
            sizes.append(check(drafted))
        elif type(key) is str and key.isascii() and len(key) <= KEY_CHARS_MAX and drafted.name in names:
            size = len(drafted.context) + len(drafted.name) + EVENT_OVERHEAD_BYTES_MAX + 6 * len(key)
            sizes.append(size if size <= EVENT_BYTES_MAX else check(drafted))
        else:
            sizes.append(check(drafted))
    return sizes, plain


def _is_encodable(text: str) -> bool:
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
    if len(_known_names) >= _KNOWN_NAMES_MAX:
        _known_names.clear()
    _known_names[name] = None


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(Event)
_context_decoder: Final = msgspec.json.Decoder(dict[str, Any])


def record(drafted: Draft, timestamp: float) -> tuple[Event, bytes]:
    """The event a numbered draft becomes at `timestamp`, still without a position, and its encoding."""
    writer, seq = drafted.origin or (drafted.writer, drafted.seq)
    event = Event(timestamp, drafted.name, msgspec.Raw(drafted.context), drafted.key, writer, seq, drafted.version)
    return event, _encoder.encode(event)


def record_with(
    drafts: Sequence[Draft], writer: str, seq: int, microseconds: int, offset: int
) -> tuple[list[Event], list[bytes]]:
    """Number, stamp, record and place drafts, counting on from `seq` and `microseconds`, from `offset` on."""
    events: list[Event] = []
    rows: list[bytes] = []
    encode, raw, place_at = _encoder.encode, msgspec.Raw, force_setattr
    for drafted in drafts:
        seq += 1
        microseconds += 1
        drafted.writer, drafted.seq = writer, seq
        event = Event(
            microseconds / 1_000_000,
            drafted.name,
            raw(drafted.context),
            drafted.key,
            writer,
            seq,
            drafted.version,
        )
        rows.append(encode(event))
        place_at(event, "offset", offset)
        events.append(event)
        offset += 1
    return events, rows


def place(event: Event, partition: int, offset: int) -> Event:
    """Give an event its position: once, by the log that recorded or read it, before anybody else sees it."""
    if partition:
        force_setattr(event, "partition", partition)
    force_setattr(event, "offset", offset)
    return event


def place_all(events: Sequence[Event], partition: int, first_offset: int) -> None:
    """Give consecutive events their positions, as `place` does for one."""
    for offset, event in enumerate(events, first_offset):
        force_setattr(event, "offset", offset)
    if partition:
        for event in events:
            force_setattr(event, "partition", partition)


def decode(row: bytes, partition: int, offset: int) -> Event:
    """The event in `row`, at its position; `InvalidEvent` names the position if the row is not an event."""
    try:
        event = _decoder.decode(row)
    except msgspec.MsgspecError as error:
        raise InvalidEvent(
            f"the record at {partition}:{offset} is not an event: {error}. Was it written by another program?"
        ) from error
    if partition:
        force_setattr(event, "partition", partition)
    force_setattr(event, "offset", offset)
    return event


def decode_all(rows: Sequence[bytes], partition: int, offsets: Sequence[int]) -> list[Event]:
    """The events in `rows`, which stand at `offsets` of `partition`; as `decode`, for a whole page at once."""
    try:
        events = list(map(_decoder.decode, rows))
    except msgspec.MsgspecError:
        return [decode(row, partition, offset) for offset, row in zip(offsets, rows, strict=True)]  # says which one
    if partition:
        for event in events:
            force_setattr(event, "partition", partition)
    for event, offset in zip(events, offsets, strict=True):
        force_setattr(event, "offset", offset)
    return events
