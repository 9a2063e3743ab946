"""Define the event that consumers deliver, and its conversions."""

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from operator import attrgetter, itemgetter
from typing import Any, Final, cast

import msgspec
import orjson

from ..journal.cursor import Position
from ..journal.depth import SHALLOW_BYTES, on_empty_stack
from ..journal.errors import InvalidEvent
from ..journal.event import Event, encode_context
from ..journal.row_decoder import RowDecoder

# The content of an empty event ("nothing happened"). Equal in every process and at every time.
EMPTY: Final = Event(0.0, "")
_FIELDS: Final = ("timestamp", "name", "key", "writer", "seq", "version", "partition", "offset")
# The fields of an entry that consumers pass to their hooks, besides the optional key.
_VALUES: Final = itemgetter("timestamp", "name", "context", "writer", "seq", "version", "partition", "offset")
_VALUES_COUNT: Final = 8
_KNOWN: Final = frozenset((*_FIELDS, "context"))
_ENCODED: Final = dict(zip(Event.__struct_fields__, Event.__struct_encode_fields__, strict=True))
_AMBIGUOUS: Final = frozenset(',="\\ \t\r\n')


class JournalEventBase(Mapping[str, Any]):
    """One event of a journal, or the empty event that marks the end of history.

    `event` is an `Event`, a mapping with the fields of RFC 18 (`timestamp` in seconds since the epoch, `name`, and
    optionally a `context` object; `key`, `writer`, `seq`, `version`, `partition` and `offset` are understood too, other
    fields are kept), or such an object as JSON text. A mapping without a name, such as ``{}``, makes the empty event.

    An event is itself a read-only mapping of its fields: ``event["name"]``, ``event.get("key")``, ``"key" in event``,
    ``dict(event)``. The empty event has no ``"name"``.

    Two events are equal if they are of one class and hold the same event, with its position and all that a subclass
    added; empty events are always equal. Events can be hashed, copied and pickled.
    """

    __slots__ = ("_context", "_event", "_extra")

    _event: Event
    _context: dict[str, Any]
    _extra: dict[str, Any]

    def __init__(self, event: Event | Mapping[str, Any] | str | bytes) -> None:
        if event.__class__ is dict:
            usual = _usual_event(event)
            if usual is not None:
                self._event = usual
                return
        elif isinstance(event, Event):
            self._event = event
            return
        if isinstance(event, (str, bytes)):
            event = _parsed(event)
        self._event = event_from_entry(event)
        if self._event is not EMPTY and not event.keys() <= _KNOWN:
            self._extra = {name: event[name] for name in event.keys() - _KNOWN}

    # Read in C: a consumer's user touches these for each of millions of events.
    name: str = cast("str", property(attrgetter("_event.name"), doc="Dotted name, such as ``order.paid``."))
    timestamp: float = cast(
        "float", property(attrgetter("_event.timestamp"), doc="The writer's clock, in seconds since the epoch.")
    )
    key: str | None = cast("str | None", property(attrgetter("_event.key"), doc="The subject; None if there is none."))
    writer: str = cast(
        "str", property(attrgetter("_event.writer"), doc="The id of the writer that appended it; empty if unknown.")
    )
    seq: int = cast("int", property(attrgetter("_event.seq"), doc="Its number from that writer; 0 if unknown."))

    @property
    def context(self) -> dict[str, Any]:
        """The context; decoded at the first access and then cached."""
        try:
            return self._context
        except AttributeError:
            self._context = self._event.context
            return self._context

    @property
    def context_string(self) -> str:
        """The context as ``key=value,…`` in the order it was written; empty if there is none.

        Texts stand as they are unless a comma, an equals sign, a quote or white space would make them ambiguous; those
        and all other values are in compact JSON.
        """
        return ",".join(f"{name}={_value_text(value)}" for name, value in self.context.items())

    @property
    def position(self) -> Position | None:
        """The event's position in the log; None if the source did not provide it."""
        return self._event.position if self._event.offset >= 0 else None

    @property
    def version(self) -> int:
        """The schema version of this name."""
        return self._event.version

    def is_empty(self) -> bool:
        """Whether this is the empty event: the end of history, not something that happened."""
        return not self._event.name

    # --- the fields, as a mapping -----------------------------------------------------------------------------------

    def __getitem__(self, field: str) -> Any:
        if field == "context":
            return self.context
        if field == "timestamp" or (field == "name" and self._event.name):
            return getattr(self._event, field)
        return self._fields()[field]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields())

    def __len__(self) -> int:
        return len(self._fields())

    def __bool__(self) -> bool:
        return True

    def _fields(self) -> dict[str, Any]:
        fields = entry_of(self._event, self.context)
        if hasattr(self, "_extra"):
            fields.update(self._extra)
        return fields

    # --- the methods of every object---------------------------------------------------------------------------------

    def __str__(self) -> str:
        if self.is_empty():
            return "End of historical data stream"
        return f"{self.timestamp:.5f} {self.name} {self.context_string}".rstrip()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, JournalEventBase):
            return NotImplemented
        if self.is_empty() or other.is_empty():
            return self.is_empty() and other.is_empty()
        return type(self) is type(other) and self._event == other._event and self._added() == other._added()

    def __hash__(self) -> int:
        if self.is_empty():
            return hash(JournalEventBase)
        event = self._event
        return hash((event.timestamp, event.name, event.writer, event.seq, event.partition, event.offset))

    def __getstate__(self) -> tuple[Event, dict[str, Any]]:
        return self._event, self._added()

    def __setstate__(self, state: tuple[Event, dict[str, Any]]) -> None:
        self._event = state[0]
        for name, value in state[1].items():
            setattr(self, name, value)

    def _added(self) -> dict[str, Any]:
        """Return the attributes that a subclass adds, in slots or not."""
        added = dict(getattr(self, "__dict__", {}))
        if hasattr(self, "_extra"):
            added["_extra"] = self._extra
        for kind in type(self).__mro__[: type(self).__mro__.index(JournalEventBase)]:
            slots = kind.__dict__.get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if name not in ("__dict__", "__weakref__") and hasattr(self, name):
                    added[name] = getattr(self, name)
        return added


# The setter of the slot `_event`: does for a whole page in C what `__init__` does for one event.
_hold: Final = vars(JournalEventBase)["_event"].__set__


def wrapped(events: Sequence[Event], kind: type[JournalEventBase] = JournalEventBase) -> list[JournalEventBase]:
    """Wrap each of the journal's own events in a `JournalEventBase`, or in its subclass `kind`."""
    made = list(map(kind.__new__, repeat(kind, len(events))))
    deque(map(_hold, made, events), maxlen=0)
    return made


def entries_of(events: Sequence[Event]) -> Iterator[dict[str, Any]]:
    """Yield `entry_of` each event; optimised for consumers, which build millions of entries."""
    for event in events:
        context_json, key, writer, offset = event.context_json, event.key, event.writer, event.offset
        if key is None or not writer or offset < 0 or len(context_json) > SHALLOW_BYTES:
            yield entry_of(event)
            continue
        try:
            context = _decode_context(context_json)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            context = event.context  # its error names the position of the unreadable event
        yield {
            "timestamp": event.timestamp,
            "name": event.name,
            "context": context,
            "key": key,
            "writer": writer,
            "seq": event.seq,
            "version": event.version,
            "partition": event.partition,
            "offset": offset,
        }


_decode_context: Final = msgspec.json.Decoder(dict[str, Any]).decode


def entry_of(event: Event, context: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the event as a dictionary in the form of an RFC 18 object; unknown fields are left out."""
    entry: dict[str, Any] = {"timestamp": event.timestamp, "name": event.name}
    if not event.name:
        del entry["name"]
    entry["context"] = event.context if context is None else context
    if event.key is not None:
        entry["key"] = event.key
    if event.writer:
        entry["writer"], entry["seq"] = event.writer, event.seq
    entry["version"] = event.version
    if event.offset >= 0:
        entry["partition"], entry["offset"] = event.partition, event.offset
    return entry


_entries: Final[RowDecoder[dict[str, Any]]] = RowDecoder(dict[str, Any])


def _parsed(text: str | bytes) -> Mapping[str, Any]:
    try:
        entry = _entries.decode(text if isinstance(text, bytes) else text.encode(errors="surrogatepass"))
    except msgspec.MsgspecError as error:
        raise InvalidEvent(f"not an event: {error}; got {text!r:.200}") from error
    return entry


def event_from_entry(entry: Mapping[str, Any]) -> Event:
    """Convert an RFC 18 object to an event; `InvalidEvent` says what is missing or has the wrong type."""
    if entry.__class__ is not dict:
        if isinstance(entry, JournalEventBase):
            return entry._event  # noqa: SLF001 - of its own class
        if not isinstance(entry, Mapping):
            raise InvalidEvent(f"an event is made of an Event or of a mapping such as a JSON object, got {entry!r:.80}")
    if not entry.get("name"):
        return EMPTY
    if entry.get("timestamp") is None:
        raise InvalidEvent(
            f"the event {entry['name']!r:.80} has no timestamp (seconds since the epoch): {entry!r:.200}"
        )
    context = msgspec.Raw(encode_context(entry["name"], entry.get("context")))
    known = {_ENCODED.get(name, name): entry[name] for name in _FIELDS if entry.get(name) is not None}
    try:
        event = msgspec.convert(known, Event)
    except msgspec.ValidationError as error:
        raise InvalidEvent(f"not an event: {error}; got {entry!r:.200}") from error
    return msgspec.structs.replace(event, context_json=context)


def _usual_event(entry: dict[str, Any]) -> Event | None:
    """Convert an entry with exactly the fields that consumers pass to their hooks; None for any other entry."""
    key = entry.get("key")
    if len(entry) != _VALUES_COUNT + (key is not None):
        return None
    try:
        timestamp, name, context, writer, seq, version, partition, offset = _VALUES(entry)
    except KeyError:
        return None
    usual = (
        type(timestamp) is float
        and type(name) is str
        and name
        and (key is None or type(key) is str)
        and type(writer) is str
        and type(seq) is int
        and type(version) is int
        and type(partition) is int
        and type(offset) is int
    )
    if not usual:
        return None
    return Event(
        timestamp, name, msgspec.Raw(encode_context(name, context)), key, writer, seq, version, partition, offset
    )


def _value_text(value: object) -> str:
    if isinstance(value, str) and value and not _AMBIGUOUS.intersection(value):
        return value
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # a number or a nesting depth that only other programs write
        return on_empty_stack(lambda: json.dumps(value, ensure_ascii=False, separators=(",", ":")))
