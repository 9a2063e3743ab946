"""Translate checkpoints for a copy of the journal in which events belong to other partitions."""

from array import array
from collections.abc import Mapping
from typing import Any, Final

from ...journal.cursor import Cursor, Position

_OFFSET_BITS: Final = 48


class CheckpointRelocation:
    """Translates cursors of the original to the copy, while the copy is filled in the order of an export.

    A translated cursor covers no event that the original does not cover: events may be repeated, none is skipped.
    """

    def __init__(self, partitions: int) -> None:
        self._origins = {partition: array("q") for partition in range(partitions)}
        self._last: dict[str, tuple[Cursor, dict[int, int]]] = {}  # by the name of a checkpoint

    def note(self, origin: Position, partition: int) -> None:
        """Note the original position of the next event of that partition of the copy."""
        self._origins[partition].append(origin.partition << _OFFSET_BITS | origin.offset)

    def translated(self, name: str, context: Mapping[str, Any], source: int, partition: int) -> dict[str, Any]:
        """Return the changes to the context of a `consumer.checkpointed` moved from `source` to `partition`."""
        changes: dict[str, Any] = {}
        try:
            changes["cursor"] = str(self._cursor(name, Cursor.parse(context["cursor"])))
        except (KeyError, TypeError, ValueError, AttributeError):
            return changes
        after = context.get("after")
        if isinstance(after, int):
            changes["after"] = self._after(Position(source, after), partition)
        return changes

    def _cursor(self, name: str, cursor: Cursor) -> Cursor:
        before, ends = self._last.get(name, (Cursor({}), {}))
        if any(cursor.get(partition, 0) < offset for partition, offset in before.items()):
            ends = {}  # it was moved back
        found = {partition: self._end(partition, ends.get(partition, 0), cursor) for partition in self._origins}
        self._last[name] = cursor, found
        return Cursor(found)

    def _end(self, partition: int, start: int, cursor: Cursor) -> int:
        """Return the offset of the first event, from `start` on, that the original cursor does not cover."""
        origins = self._origins[partition]
        while start < len(origins):
            source, offset = divmod(origins[start], 1 << _OFFSET_BITS)
            if offset >= cursor.get(source, 0):
                break
            start += 1
        return start

    def _after(self, known: Position, partition: int) -> int:
        """Return the offset of the copy's last event whose original is at or before `known`; -1 if there is none."""
        origins = self._origins[partition]
        for at in range(len(origins) - 1, -1, -1):
            source, offset = divmod(origins[at], 1 << _OFFSET_BITS)
            if source == known.partition and offset <= known.offset:
                return at
        return -1
