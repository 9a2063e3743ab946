"""Encode and parse events as lines of JSON, RFC 18 style: one object per line, for files and pipes.

    {"timestamp":1795305600.123456,"name":"order.paid","context":{"order":7},"key":"7","writer":"…","seq":3,"version":1,
     "position":"0:42"}

All in one line, every field always written, in this order. `position` is the event's original partition and offset.
Reading requires `timestamp` and `name`; other fields have their defaults.
"""

import re
from typing import Any, Final

import msgspec

from ...journal.cursor import Position
from ...journal.depth import on_empty_stack
from ...journal.errors import EventTooLarge, InvalidEvent
from ...journal.event import EMPTY_CONTEXT, Draft, Event, check
from ...journal.limits import LINE_BYTES_MAX
from ...journal.row_decoder import RowDecoder, Whole
from ..limits import WRITER_CHARS_MAX

_WRITER: Final = re.compile(rf"[A-Za-z0-9._-]{{1,{WRITER_CHARS_MAX}}}")
_POSITION: Final = re.compile(r"\d{1,9}:\d{1,18}", re.ASCII)


class BadLine(InvalidEvent):
    """A line is not an event; the message has its number and says what was expected."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(f"line {number:,}: {reason}")
        self.number = number
        self.reason = reason


class Line(msgspec.Struct, forbid_unknown_fields=True):
    """The fields of an event in a line."""

    timestamp: float
    name: str
    context: msgspec.Raw = EMPTY_CONTEXT
    key: str | None = None
    writer: str = ""
    seq: Whole = 0
    version: Whole = 1
    position: str | None = None

    def place(self) -> Position | None:
        """Return the event's original position; None if the line has none."""
        if self.position is None:
            return None
        partition, _, offset = self.position.partition(":")
        return Position(int(partition), int(offset))

    def draft(self, number: int, partition: int, origin: tuple[str, int]) -> Draft:
        """Return the draft that imports this event; `BadLine` if it breaks a rule or a limit of events."""
        taken = Draft(self.name, bytes(self.context), self.key, partition, self.timestamp, self.version, origin=origin)
        try:
            check(taken)
        except (InvalidEvent, EventTooLarge) as error:
            raise BadLine(number, str(error)) from error
        return taken


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = RowDecoder(Line)
_context: Final[RowDecoder[dict[str, Any]]] = RowDecoder(dict[str, Any])


def encode(event: Event) -> bytes:
    """Return the line of an event, with its line break."""
    line = Line(
        event.timestamp,
        event.name,
        msgspec.Raw(in_one_line(event.context_json)),
        event.key,
        event.writer,
        event.seq,
        event.version,
        f"{event.partition}:{event.offset}",
    )
    return _encoder.encode(line) + b"\n"


def in_one_line(context: msgspec.Raw) -> bytes:
    """Return an encoded context without line breaks; they can only be between tokens, as strings escape them."""
    encoded = bytes(context)
    if b"\n" not in encoded and b"\r" not in encoded:
        return encoded
    return on_empty_stack(lambda: msgspec.json.format(encoded, indent=-1))


def parse(number: int, text: bytes) -> Line:
    """Parse the event in line `number`; `BadLine` if it is not one."""
    if len(text) > LINE_BYTES_MAX:
        raise BadLine(number, f"it is longer than LINE_BYTES_MAX = {LINE_BYTES_MAX:,} bytes")
    try:
        line = _decoder.decode(text)
        _context.decode(line.context)  # in full: raw values are not checked for valid strings
    except msgspec.MsgspecError as error:
        raise BadLine(number, f"{error}; {_EXPECTED}") from error
    if line.seq < 0 or (line.writer and not _WRITER.fullmatch(line.writer)):
        raise BadLine(
            number,
            f"expected a writer of at most {WRITER_CHARS_MAX} letters, digits, '.', '_', '-' and a seq from 1 up, "
            f"got {line.writer!r:.80} and {line.seq}",
        )
    if line.position is not None and not _POSITION.fullmatch(line.position):
        raise BadLine(number, f"expected a position such as '0:42', got {line.position!r:.80}")
    return line


_EXPECTED: Final = (
    'expected an event such as {"timestamp": 1795305600.5, "name": "order.paid", "context": {}, "key": null, '
    '"writer": "w", "seq": 1, "version": 1}'
)
