"""Fingerprints: recognise an event by who wrote it, so that a log is not taken for another one.

The fingerprint of an event is a short hash of its `writer` and `seq`, the identity that no other event has. It does not
depend on the record's bytes: an event that is encoded anew or carries a checksum keeps its fingerprint, and so does one
that is exported and imported. A record without that identity, of another program or damaged, is known by its bytes.
"""

from hashlib import blake2b
from typing import Final

import msgspec

from .reading import RowDecoder, Whole

FINGERPRINT_CHARS: Final = 12


class Identified(msgspec.Struct, gc=False):
    """What is decoded of a record here."""

    writer: str = ""
    seq: Whole = 0


_decoder: Final = RowDecoder(Identified)


def fingerprint(row: bytes) -> str:
    """The fingerprint of an encoded event: `FINGERPRINT_CHARS` hexadecimal digits."""
    found = _decoder.read(row)
    if found is None or not found.writer or found.seq <= 0:
        return _digest(b"record\0" + row)
    return fingerprint_of(found.writer, found.seq)


def fingerprint_of(writer: str, seq: int) -> str:
    """The fingerprint of the event that `writer` appended as its number `seq`."""
    return _digest(f"{writer}\0{seq}".encode(errors="surrogatepass"))


def _digest(identity: bytes) -> str:
    return blake2b(identity, digest_size=FINGERPRINT_CHARS // 2).hexdigest()
