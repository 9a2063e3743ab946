"""Marks a record whose checksum does not match, so that it keeps its place and the others stay readable.

The mark is not JSON: every decoder refuses the record, and each reader handles it as any record that is not an event.
`journal.event.decode` recognises the mark and raises `DamagedRecord`.
"""

from typing import Final

DAMAGE: Final = "its checksum does not match"
_MARK: Final = b"\0damaged record: "


def mark_damaged(stored: object) -> bytes:
    """Return the mark followed by the stored bytes, to be handed out in the place of a damaged record."""
    return _MARK + (stored if isinstance(stored, bytes) else repr(stored).encode())


def unmarked(row: bytes) -> bytes:
    """Return the stored bytes of a marked record."""
    return row.removeprefix(_MARK)


def is_damaged(row: bytes) -> bool:
    """Whether the log has marked this record as damaged."""
    return row.startswith(_MARK)
