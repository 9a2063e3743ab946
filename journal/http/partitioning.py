"""The partitions of keys, as the logs behind a service assign them. Pure."""

import zlib
from collections.abc import Callable
from typing import Final

from ..errors import JournalError

_MASK: Final = 0xFFFFFFFF
_SEED: Final = 0x9747B28C
_FACTOR: Final = 0x5BD1E995


def _one(_: bytes) -> int:
    return 0


def murmur2(key: bytes) -> int:
    """The hash of Kafka's default partitioner."""
    value, whole = _SEED ^ len(key), len(key) & ~3
    for at in range(0, whole, 4):
        word = int.from_bytes(key[at : at + 4], "little") * _FACTOR & _MASK
        value = (value * _FACTOR & _MASK) ^ ((word ^ (word >> 24)) * _FACTOR & _MASK)
    if rest := key[whole:]:
        value = (value ^ int.from_bytes(rest, "little")) * _FACTOR & _MASK
    value = (value ^ (value >> 13)) * _FACTOR & _MASK
    return (value ^ (value >> 15)) & 0x7FFFFFFF


_HASHES: Final[dict[str, Callable[[bytes], int]]] = {"one": _one, "crc32": zlib.crc32, "murmur2": murmur2}


def hash_named(partitioner: str) -> Callable[[bytes], int]:
    """Return the hash of the partitioner that a service names; `JournalError` for one that is not known here."""
    if partitioner not in _HASHES:
        raise JournalError(
            f"the journal service assigns partitions by {partitioner!r}, which this version does not know; known are "
            f"{', '.join(_HASHES)}. Use a version of Journeyman as new as the service's."
        )
    return _HASHES[partitioner]
