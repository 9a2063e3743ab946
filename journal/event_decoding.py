"""Decode records into events, and say why one cannot be read."""

from collections.abc import Sequence
from typing import Final

import msgspec

from .damage import DAMAGE, is_damaged, unmarked
from .errors import DamagedRecord, UnreadableRecord
from .event import Event, context_decoder, place, place_all
from .row_decoder import Moment, RowDecoder

_decoder: Final = RowDecoder(Event)


def unreadable(partition: int, offset: int, row: bytes, reason: str) -> UnreadableRecord:
    """The error for a record that cannot be decoded, which its log may have marked as damaged."""
    if is_damaged(row):
        return DamagedRecord(partition, offset, unmarked(row), DAMAGE)
    return UnreadableRecord(partition, offset, row, reason)


def decode(row: bytes, partition: int, offset: int) -> Event:
    """The event in `row`, at its position; `UnreadableRecord` names the position if the row is not an event."""
    try:
        event = _decoder.decode(row)
    except msgspec.MsgspecError as error:
        raise unreadable(partition, offset, row, str(error)) from error
    return place(event, partition, offset)


def decode_all(rows: Sequence[bytes], partition: int, offsets: Sequence[int]) -> list[Event]:
    """The events in `rows`, which stand at `offsets` of `partition`; as `decode`, for a whole page at once."""
    events = _decoder.decode_all(rows)
    if events is None:
        return [decode(row, partition, offset) for offset, row in zip(offsets, rows, strict=True)]  # raises for the bad
    place_all(events, partition, offsets)
    return events


def readable(
    rows: Sequence[bytes], partition: int, offsets: Sequence[int], *, contexts: bool = False
) -> tuple[list[Event], list[UnreadableRecord]]:
    """The events in the rows of a page, and an error for each of the others.

    With `contexts` the contexts are decoded as well, so that none of the events fails where its context is asked for.
    """
    try:
        events = decode_all(rows, partition, offsets)
        if not contexts or context_decoder.decode_all([bytes(event.context_json) for event in events]) is not None:
            return events, []
    except UnreadableRecord:
        pass
    events, bad = [], []
    for offset, row in zip(offsets, rows, strict=True):
        try:
            event = decode(row, partition, offset)
            if contexts:
                _ = event.context
            events.append(event)
        except UnreadableRecord as error:
            bad.append(unreadable(partition, offset, row, error.reason))
    return events, bad


class _Stamp(msgspec.Struct, gc=False):
    timestamp: Moment


stamps: Final = RowDecoder(_Stamp)


def time_in(row: bytes) -> float | None:
    """The time of the event in `row`, in seconds since the epoch; None if it has none."""
    stamp = stamps.read(row)
    return None if stamp is None else stamp.timestamp
