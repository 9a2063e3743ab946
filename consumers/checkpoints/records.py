"""The events about checkpoints, and the pure rules that read them in log order.

All events of one checkpoint have its name as their key, so they stand in one partition and are totally ordered:

- `consumer.checkpointed`: a consumer has come so far; or, with `reset`, an operator has moved the checkpoint.
- `consumer.parked`: the callback of a consumer failed at an event, and the consumer goes on without it.
- `consumer.replayed`: a parked event is to be handed out again; the consumer of that checkpoint does so.
- `consumer.dropped`: a parked event is given up.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from ...journal.cursor import Cursor, Position
from ...journal.errors import InvalidEvent
from ...journal.event import Event
from ...journal.limits import TIMESTAMP_SECONDS_MAX
from ...journal.row_decoder import RowDecoder
from ..event import event_from_entry

CHECKPOINTED: Final = "consumer.checkpointed"
PARKED: Final = "consumer.parked"
REPLAYED: Final = "consumer.replayed"
DROPPED: Final = "consumer.dropped"
CONTROL_NAMES: Final = frozenset((CHECKPOINTED, PARKED, REPLAYED, DROPPED))


_entries: Final[RowDecoder[dict[str, Any]]] = RowDecoder(dict[str, Any])


class Saved(NamedTuple):
    """One `consumer.checkpointed`.

    - `consumer`: the consumer that saved it, as host:pid:token; empty where that was not recorded.
    - `after`: how far that consumer had read its checkpoint's events, as an offset; None where that was not recorded.
    - `reset`: whether an operator moved the checkpoint. `by`: the operator, as user@host.
    - `topic`: the topic of that consumer; None where that was not recorded.
    """

    name: str
    cursor: Cursor
    position: Position
    timestamp: float
    consumer: str = ""
    after: int | None = None
    reset: bool = False
    by: str = ""
    topic: str | None = None
    carried: bool = False


def saved_of(event: Event) -> Saved | None:
    """The checkpoint in an event; None if it is none, or not one that a consumer can have written."""
    if event.name != CHECKPOINTED or event.key is None:
        return None
    try:
        context = event.context
        cursor = Cursor.parse(context["cursor"])
        after, topic = context.get("after"), context.get("topic")
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return Saved(
        event.key,
        cursor,
        event.position,
        event.timestamp,
        str(context.get("consumer", "")),
        after if isinstance(after, int) else None,
        context.get("reset") is True,
        str(context.get("by", "")),
        topic if isinstance(topic, str) else None,
        context.get("carried") is True,
    )


class Standing:
    """The checkpoint that counts, of those of one name, folded in log order: `newest`.

    The newest one counts, except that a consumer that has not read of a reset does not undo it: what it saves behind
    the reset is passed over.
    """

    def __init__(self) -> None:
        self.newest: Saved | None = None
        self._last_reset = -1

    def apply(self, saved: Saved) -> None:
        """Take note of the next one."""
        if saved.reset:
            self.newest, self._last_reset = saved, saved.position.offset
        elif saved.after is None or saved.after >= self._last_reset:
            self.newest = saved


def standing(saves: Iterable[Saved]) -> Saved | None:
    """The one that counts of checkpoints of one name in log order; None if there is none."""
    fold = Standing()
    for saved in saves:
        fold.apply(saved)
    return fold.newest


class Parked(NamedTuple):
    """One parked event.

    - `position`: where the event itself stands, or stood: by this it is named.
    - `stands_at`, `timestamp`: where and when it was parked.
    - `event`: the event, as a dictionary with its fields.
    - `error`: `name`, `text` and `traceback` of what the callback raised last, of `attempts` times.
    - `consumer`: the consumer that parked it, as host:pid:token.
    """

    name: str
    position: Position
    stands_at: Position
    timestamp: float
    event: Mapping[str, Any]
    attempts: int
    error: Mapping[str, str]
    consumer: str
    context: Mapping[str, Any]


class ParkedEvents:
    """The events that are parked, folded from the events about them in log order.

    `parked` holds them by the name of the checkpoint and the position of the event.
    """

    def __init__(self) -> None:
        self.parked: dict[str, dict[Position, Parked]] = {}
        self._ended: dict[tuple[str, Position], int] = {}

    def apply(self, event: Event) -> None:
        """Take note of the next event; one that is not about parked events changes nothing."""
        if event.key is None or event.name not in (PARKED, REPLAYED, DROPPED):
            return
        try:
            context = event.context
            position = parse_position(context["position"])
        except (KeyError, TypeError, ValueError, AttributeError):
            return
        name = event.key
        if event.name != PARKED:
            self.parked.get(name, {}).pop(position, None)
            self._ended[name, position] = event.offset
            return
        # Brought forward by a compaction that had not seen how the matter ended: it has ended all the same.
        looked_to = context.get("looked_to")
        if isinstance(looked_to, int) and self._ended.get((name, position), -1) >= looked_to:
            return
        entry = _entry(context)
        if entry is not None:
            self.parked.setdefault(name, {})[position] = _parked(name, position, event, context, entry)


def _entry(context: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The event that the context of an event about it holds: an object, or its text where that would lie too deep."""
    entry = context.get("event")
    if isinstance(entry, str):
        entry = _entries.read(entry.encode())
    return entry if isinstance(entry, Mapping) else None


def _parked(
    name: str, position: Position, event: Event, context: Mapping[str, Any], entry: Mapping[str, Any]
) -> Parked:
    attempts, error, parked_at = context.get("attempts"), context.get("error"), context.get("parked_at")
    error = error if isinstance(error, Mapping) else {}
    return Parked(
        name,
        position,
        event.position,
        parked_at if isinstance(parked_at, float) and 0 < parked_at <= TIMESTAMP_SECONDS_MAX else event.timestamp,
        entry,
        attempts if isinstance(attempts, int) else 0,
        {field: str(error.get(field, "")) for field in ("name", "text", "traceback")},
        str(context.get("consumer", "")),
        context,
    )


def replayed_event(event: Event) -> Event | None:
    """The event that a `consumer.replayed` asks to hand out again, at its own position; None if it names none."""
    try:
        context = event.context
        position = parse_position(context["position"])
        original = event_from_entry({**(_entry(context) or {}), **position._asdict()})
    except (KeyError, TypeError, ValueError, AttributeError, InvalidEvent):
        return None
    return original if original.name else None


def parse_position(text: str) -> Position:
    """A position as it is shown, partition:offset; `ValueError` says what was expected."""
    try:
        partition, offset = map(int, text.split(":"))
    except ValueError as error:
        raise ValueError(f"expected a position such as '0:42', got {text!r:.80}") from error
    return Position(partition, offset)


def position_text(position: Position) -> str:
    """A position as it is shown: partition:offset."""
    return f"{position.partition}:{position.offset}"
