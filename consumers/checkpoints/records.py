"""Define the events about checkpoints, and the pure rules that fold them in log order.

All events of one checkpoint have its name as their key, so they are in one partition and totally ordered:

- `consumer.checkpointed`: a consumer saved its cursor; or, with `reset`, an operator has moved the checkpoint.
- `consumer.parked`: a consumer's callback failed at an event, and the consumer continues without it.
- `consumer.replayed`: an operator replays a parked event, and the checkpoint's consumer delivers it again.
- `consumer.dropped`: an operator discards a parked event.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from ...journal.cursor import Cursor, Position
from ...journal.errors import InvalidEvent
from ...journal.event import Event
from ...journal.limits import TIMESTAMP_SECONDS_MAX
from ...journal.row_decoder import RowDecoder
from ..event import event_from_entry
from ..topic import is_topic

CHECKPOINTED: Final = "consumer.checkpointed"
PARKED: Final = "consumer.parked"
REPLAYED: Final = "consumer.replayed"
DROPPED: Final = "consumer.dropped"
CONTROL_NAMES: Final = frozenset((CHECKPOINTED, PARKED, REPLAYED, DROPPED))


_entries: Final[RowDecoder[dict[str, Any]]] = RowDecoder(dict[str, Any])


class Saved(NamedTuple):
    """One `consumer.checkpointed`.

    - `consumer`: the consumer that saved it, as host:pid:token; empty if not recorded.
    - `after`: the offset up to which that consumer had read its checkpoint's events; None if not recorded.
    - `reset`: whether an operator moved the checkpoint. `by`: the operator, as user@host.
    - `topic`: the topic of that consumer; None if not recorded.
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
    """Return the checkpoint in an event; None if it is not a valid `consumer.checkpointed`."""
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
        topic if isinstance(topic, str) and is_topic(topic) else None,
        context.get("carried") is True,
    )


class ValidCheckpoint:
    """Folds the checkpoints of one name in log order; `newest` is the valid one.

    The newest one is valid, except that a consumer that has not yet read a reset cannot undo it: checkpoints that it
    saves after the reset are ignored.
    """

    def __init__(self) -> None:
        self.newest: Saved | None = None
        self._last_reset = -1

    def apply(self, saved: Saved) -> None:
        """Apply the next checkpoint."""
        if saved.reset:
            self.newest, self._last_reset = saved, saved.position.offset
        elif saved.after is None or saved.after >= self._last_reset:
            self.newest = saved


def valid_checkpoint(saves: Iterable[Saved]) -> Saved | None:
    """Return the valid one of the checkpoints of one name, given in log order; None if there is none."""
    fold = ValidCheckpoint()
    for saved in saves:
        fold.apply(saved)
    return fold.newest


class Parked(NamedTuple):
    """One parked event.

    - `position`: the position of the event itself, which identifies it.
    - `stands_at`, `timestamp`: the position and time of its `consumer.parked`.
    - `event`: the event, as a dictionary with its fields.
    - `error`: `name`, `text` and `traceback` of the callback's last error, after `attempts` attempts.
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
    """The parked events, folded in log order.

    `parked` holds them by the name of the checkpoint and the position of the event.
    """

    def __init__(self) -> None:
        self.parked: dict[str, dict[Position, Parked]] = {}
        self._ended: dict[tuple[str, Position], int] = {}

    def apply(self, event: Event) -> None:
        """Apply the next event; one that is not about parked events changes nothing."""
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
        # Carried forward by a compaction that had not yet read the event's replay or drop: it stays ended.
        looked_to = context.get("looked_to")
        if isinstance(looked_to, int) and self._ended.get((name, position), -1) >= looked_to:
            return
        entry = _entry(context)
        if entry is not None:
            self.parked.setdefault(name, {})[position] = _parked(name, position, event, context, entry)


def _entry(context: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the parked event from a context: stored as an object, or as text if it would be nested too deep."""
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
    """Return the event that a `consumer.replayed` delivers again, at its own position; None if it has none."""
    try:
        context = event.context
        position = parse_position(context["position"])
        original = event_from_entry({**(_entry(context) or {}), **position._asdict()})
    except (KeyError, TypeError, ValueError, AttributeError, InvalidEvent):
        return None
    return original if original.name else None


def parse_position(text: str) -> Position:
    """Parse a position, partition:offset; `ValueError` says what was expected."""
    try:
        partition, offset = map(int, text.split(":"))
    except ValueError as error:
        raise ValueError(f"expected a position such as '0:42', got {text!r:.80}") from error
    return Position(partition, offset)


def position_text(position: Position) -> str:
    """Format a position as partition:offset."""
    return f"{position.partition}:{position.offset}"
