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
    """Return the error for a record that cannot be decoded: `DamagedRecord` if its log has marked it as damaged."""
    if is_damaged(row):
        return DamagedRecord(partition, offset, unmarked(row), DAMAGE)
    return UnreadableRecord(partition, offset, row, reason)


def decode(row: bytes, partition: int, offset: int) -> Event:
    """Return the event in `row`, with its position; `UnreadableRecord` names the position if the row is no event."""
    try:
        event = _decoder.decode(row)
    except msgspec.MsgspecError as error:
        raise unreadable(partition, offset, row, str(error)) from error
    return place(event, partition, offset)


def decode_all(rows: Sequence[bytes], partition: int, offsets: Sequence[int]) -> list[Event]:
    """Decode a page: return the events in `rows`, which stand at `offsets` of `partition`; raises as `decode` does."""
    events = _decoder.decode_all(rows)
    if events is None:
        # `decode` raises at the first unreadable row.
        return [decode(row, partition, offset) for offset, row in zip(offsets, rows, strict=True)]
    place_all(events, partition, offsets)
    return events


def readable(
    rows: Sequence[bytes], partition: int, offsets: Sequence[int], *, contexts: bool = False
) -> tuple[list[Event], list[UnreadableRecord]]:
    """Return the events in the rows of a page, and an error for each row that is not an event.

    With `contexts` a row whose context cannot be decoded is an error, too, so a caller can read each event's `context`.
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
    """Return the time of the event in `row`, in seconds since the epoch; None if the row has none or is unreadable."""
    stamp = stamps.read(row)
    return None if stamp is None else stamp.timestamp
