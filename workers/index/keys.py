"""The keys of the index: 16 bytes for each id.

The key of a UUID is its bytes, so that ids of one time stand side by side; that of any other id is a digest. Two ids
may share a key (a UUID can be written in several ways), so a reader compares the id in the record.
"""

from hashlib import blake2b
from typing import Final

KEY_BYTES: Final = 16
_UUID_CHARS: Final = 36
_UUID_DASHES: Final = 4


def key_of(identifier: str) -> bytes:
    """The key of a task's or worker's id."""
    if len(identifier) == _UUID_CHARS:
        digits = identifier.replace("-", "")
        if len(digits) == _UUID_CHARS - _UUID_DASHES:
            try:
                key = bytes.fromhex(digits)
            except ValueError:
                key = b""
            if len(key) == KEY_BYTES:
                return key
    return blake2b(identifier.encode(errors="surrogatepass"), digest_size=KEY_BYTES).digest()
