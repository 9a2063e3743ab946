"""Decode the events of the parts of the state: each part has a context of its own."""

from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec

from ...journal.row_decoder import Moment, Name, RowDecoder
from . import decoding
from .decoding import EventContext, Fact
from .locks import Locks
from .part import Part
from .pauses import PausedQueues
from .schedules import Schedules
from .services import Services

# The parts whose contexts are not those of tasks and sessions.
PARTS: Final[tuple[type[Part[Any, Any, Any]], ...]] = (PausedQueues, Locks, Schedules, Services)

Context = TypeVar("Context", bound=EventContext)


class PartFact(msgspec.Struct, Generic[Context]):
    """The fields that the fold needs of an event of a part."""

    timestamp: Moment
    name: Name
    context: Context


class _Decoders(NamedTuple):
    facts: RowDecoder[PartFact[Any]]
    contexts: RowDecoder[Any]
    empty: EventContext  # names no subject, so the part takes the event for a foreign one


def _decoders_of(part: type[Part[Any, Any, Any]]) -> _Decoders:
    return _Decoders(RowDecoder(PartFact[part.context]), RowDecoder(part.context), part.context())  # type: ignore[name-defined]


_DECODERS: Final = {name: decoders for part in PARTS for decoders in (_decoders_of(part),) for name in part.events}


def part_fact(row: bytes) -> Fact | PartFact[Any] | None:
    """Decode all fields that the fold needs of a record; None if it is unreadable.

    An event with the name of a part's event and another form is a foreign one: other programs may use the name.
    """
    said = decoding.fact(row)
    own = None if said is None else _DECODERS.get(said.name)
    if said is None or own is None:
        return said
    return own.facts.read(row) or PartFact(said.timestamp, said.name, own.empty)


def read_context(name: str, encoded: bytes | msgspec.Raw) -> Any:
    """Decode the context of an event of that name for the fold; `msgspec.MsgspecError` if it is unreadable.

    Events of other programs are never unreadable, even if they use the same field names with other types.
    """
    own = _DECODERS.get(name)
    if own is None:
        return decoding.read_context(name, encoded)
    return own.contexts.read(encoded) or own.empty
