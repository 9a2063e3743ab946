"""Decodes records: the fields that a reader needs, with one kind of error for any bytes in the log."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Annotated, Final, Generic, TypeVar

import msgspec

from .depth import SHALLOW_BYTES, is_deeper, on_empty_stack
from .limits import RECORD_DEPTH_MAX

T = TypeVar("T")

# The valid fields of records: other values come from other programs, and neither a date nor a file could hold them. A
# time may be a little later than the latest that can be appended, as events after that one get later times.
_LATEST: Final = 2.0**34
Moment = Annotated[float, msgspec.Meta(ge=0.0, le=_LATEST)]
Due = Annotated[float, msgspec.Meta(ge=-_LATEST, le=_LATEST)]
Name = Annotated[str, msgspec.Meta(min_length=1)]
WHOLE_MAX: Final = 2**63 - 1
Whole = Annotated[int, msgspec.Meta(ge=-WHOLE_MAX, le=WHOLE_MAX)]

# The errors of decoders for unexpected bytes.
_BAD: Final = (msgspec.MsgspecError, ValueError, OverflowError)
_TOO_DEEP: Final = f"lists and objects are nested deeper than RECORD_DEPTH_MAX = {RECORD_DEPTH_MAX}"


def are_shallow(rows: Sequence[bytes]) -> bool:
    """Whether no record is deeper than `RECORD_DEPTH_MAX`; of short ones the length is proof."""
    for row in rows:  # noqa: SIM110 - `any` and `max` over these take half as long again
        if len(row) > SHALLOW_BYTES and is_deeper(row, RECORD_DEPTH_MAX):
            return False
    return True


class RowDecoder(Generic[T]):
    """Decodes JSON, a record or its context, as `kind`.

    Which records it can read depends on the bytes alone, not on the interpreter or the caller's stack.
    """

    def __init__(self, kind: type[T]) -> None:
        decoder = msgspec.json.Decoder(kind)
        self._decode = decoder.decode
        self._decode_lines = decoder.decode_lines

    def decode(self, row: bytes | msgspec.Raw) -> T:
        """Decode `row`; `msgspec.MsgspecError` says why it is unreadable."""
        if len(row) > SHALLOW_BYTES and is_deeper(bytes(row), RECORD_DEPTH_MAX):
            raise msgspec.DecodeError(_TOO_DEEP)
        try:
            return self._decode(row)
        except RecursionError:
            return on_empty_stack(lambda: self._decode_anew(row))
        except msgspec.MsgspecError:
            raise
        except _BAD as error:
            raise msgspec.DecodeError(str(error)) from error

    def _decode_anew(self, row: bytes | msgspec.Raw) -> T:
        try:
            return self._decode(row)
        except msgspec.MsgspecError:
            raise
        except (*_BAD, RecursionError) as error:
            raise msgspec.DecodeError(str(error)) from error

    def read(self, row: bytes | msgspec.Raw) -> T | None:
        """Decode `row`; None if it is unreadable."""
        try:
            return self._decode(row) if len(row) <= SHALLOW_BYTES else self.decode(row)
        except msgspec.MsgspecError:
            return None
        except (*_BAD, RecursionError):
            pass
        try:
            return self.decode(row)
        except msgspec.MsgspecError:
            return None

    def decode_all(self, rows: Sequence[bytes]) -> list[T] | None:
        """Decode the rows of a page; None if at least one of them is unreadable."""
        try:
            return list(map(self._decode, rows)) if are_shallow(rows) else None
        except (*_BAD, RecursionError):
            return None

    def decode_lines(self, lines: bytes) -> list[T] | None:
        """Decode records of one line each that are short enough to be shallow; None if one is unreadable."""
        try:
            return self._decode_lines(lines)
        except (*_BAD, RecursionError):
            return None

    def can_decode(self, rows: Iterable[bytes]) -> bool:
        """Whether each row can be decoded, of rows that are short enough to be shallow."""
        try:
            # Each value is dropped before the next one is made: its memory is used again, and still in the cache.
            deque(map(self._decode, rows), maxlen=0)
        except (*_BAD, RecursionError):
            return False
        return True

    def read_all(self, rows: Sequence[bytes]) -> Sequence[T | None]:
        """Decode each row of a page; None in the place of unreadable ones."""
        found = self.decode_all(rows)
        return found if found is not None else [self.read(row) for row in rows]
