"""How a log hands out a record whose checksum does not match: marked, in its place, so that the others stay readable.

The mark is no JSON: every decoder refuses the record, and each reader deals with it as with any record that is not an
event. `journal.event.decode` recognises the mark and raises `DamagedRecord`.
"""

from typing import Final

DAMAGE: Final = "its checksum does not match"
_MARK: Final = b"\0damaged record: "


def mark_damaged(stored: object) -> bytes:
    """What is handed out in the place of a damaged record: the mark and what was read."""
    return _MARK + (stored if isinstance(stored, bytes) else repr(stored).encode())


def unmarked(row: bytes) -> bytes:
    """What was read in the place of a damaged record."""
    return row.removeprefix(_MARK)


def is_damaged(row: bytes) -> bool:
    """Whether the log that handed out this record found it damaged."""
    return row.startswith(_MARK)
