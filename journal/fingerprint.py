"""Fingerprints of events, which distinguish a log from another one.

The fingerprint of an event is a short hash of its `writer` and `seq`, the identity that no other event has. It does not
depend on the record's bytes: an event that is re-encoded or carries a checksum keeps its fingerprint, and so does one
that is exported and imported. The fingerprint of a record without that identity, of another program or damaged, is a
hash of its bytes.
"""

from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from .limits import TIMESTAMP_SECONDS_MAX
from .row_decoder import RowDecoder, Whole

FINGERPRINT_CHARS: Final = 12


class Identified(msgspec.Struct, gc=False):
    """The fields of a record that its mark needs."""

    writer: str = ""
    seq: Whole = 0
    timestamp: float = -1.0


class Mark(NamedTuple):
    """The last event that a reader has passed: its offset, its fingerprint and its time in seconds, None if unknown.

    A cursor keeps marks, so that it is not taken for a cursor of another log.
    """

    offset: int
    fingerprint: str
    time: float | None = None


_decoder: Final = RowDecoder(Identified)


def fingerprint(row: bytes) -> str:
    """The fingerprint of an encoded event: `FINGERPRINT_CHARS` hexadecimal digits."""
    return mark(0, row).fingerprint


def mark(offset: int, row: bytes) -> Mark:
    """The mark of the encoded event that stands at `offset`."""
    found = _decoder.read(row)
    if found is None:
        return Mark(offset, _digest(b"record\0" + row))
    time = found.timestamp if 0.0 <= found.timestamp <= TIMESTAMP_SECONDS_MAX else None
    if not found.writer or found.seq <= 0:
        return Mark(offset, _digest(b"record\0" + row), time)
    return Mark(offset, fingerprint_of(found.writer, found.seq), time)


def fingerprint_of(writer: str, seq: int) -> str:
    """The fingerprint of the event that `writer` appended as its number `seq`."""
    return _digest(f"{writer}\0{seq}".encode(errors="surrogatepass"))


def _digest(identity: bytes) -> str:
    return blake2b(identity, digest_size=FINGERPRINT_CHARS // 2).hexdigest()
