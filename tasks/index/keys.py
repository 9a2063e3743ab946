"""The keys of the index: of each id, what stands for it in the tree.

The key of a UUID is its 16 bytes; that of another id is the id itself, and of a long one a digest. So ids that are made
one after the other stand side by side, and few pages of the file change at a time. Two ids may share a key (a UUID can
be written in capitals), so a reader compares the id in the record.

`KEY_SQL` says the same in SQL. It must not depend on the version of the library: a change needs another
`FORMAT_VERSION`.
"""

from hashlib import blake2b
from typing import Final

RAW_KEY_BYTES_MAX: Final = 48
_DIGEST_BYTES: Final = 16
_UUID_BYTES: Final = 16
_UUID_CHARS: Final = 36
_DASHES: Final = (8, 13, 18, 23)

# The key of an id, as a BLOB of UTF-8 in `id`, of at most `RAW_KEY_BYTES_MAX` bytes.
KEY_SQL: Final = (
    f"ifnull(CASE WHEN length(id) = {_UUID_CHARS} AND CAST(id AS TEXT) GLOB '????????-????-????-????-????????????' "
    "THEN unhex(CAST(id AS TEXT), '-') END, id)"
)


def key_of(identifier: str) -> bytes:
    """The key of a task's or worker's id."""
    if len(identifier) == _UUID_CHARS and all(identifier[index] == "-" for index in _DASHES):
        try:
            key = bytes.fromhex(identifier.replace("-", ""))
        except ValueError:
            key = b""
        if len(key) == _UUID_BYTES:
            return key
    raw = identifier.encode(errors="surrogatepass")
    return raw if len(raw) <= RAW_KEY_BYTES_MAX else blake2b(raw, digest_size=_DIGEST_BYTES).digest()
