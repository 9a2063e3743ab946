"""Where an event is in the log, and how far a reader has come."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Self


class Position(NamedTuple):
    """The place of one event: fixed by the log when the event becomes durable, and never changed."""

    partition: int
    offset: int


class Cursor(Mapping[int, int]):
    """How far a reader has come: for each partition the offset it reads next.

    Immutable. `str(cursor)` is opaque to users and stable across versions; `Cursor.parse` reads it back. A cursor may
    name only some of a log's partitions; a reader then follows only those.
    """

    __slots__ = ("_offsets",)

    def __init__(self, offsets: Mapping[int, int]) -> None:
        for partition, offset in offsets.items():
            if partition < 0 or offset < 0:
                raise ValueError(f"a cursor holds partitions and offsets from 0 up, got {partition}:{offset}")
        self._offsets = dict(sorted(offsets.items()))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str(cursor)` wrote; `ValueError` says what was expected."""
        try:
            pairs = [part.split(":") for part in text.split(",") if part]
            return cls({int(partition): int(offset) for partition, offset in pairs})
        except ValueError as error:
            raise ValueError(f"expected a cursor such as '0:42' or '0:42,1:7', got {text!r}") from error

    def advanced(self, partition: int, next_offset: int) -> "Cursor":
        """The cursor of a reader that has now read `partition` up to, not including, `next_offset`."""
        return Cursor({**self._offsets, partition: next_offset})

    def covers(self, position: Position) -> bool:
        """Whether a reader at this cursor has already read `position`."""
        return self._offsets.get(position.partition, 0) > position.offset

    def reaches(self, other: Mapping[int, int]) -> bool:
        """Whether a reader at this cursor has read all that one at `other` has, in the partitions `other` names."""
        return all(self._offsets.get(partition, 0) >= offset for partition, offset in other.items())

    def __getitem__(self, partition: int) -> int:
        return self._offsets[partition]

    def __iter__(self) -> Iterator[int]:
        return iter(self._offsets)

    def __len__(self) -> int:
        return len(self._offsets)

    def __hash__(self) -> int:
        return hash(tuple(self._offsets.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cursor) and self._offsets == other._offsets

    def __str__(self) -> str:
        return ",".join(f"{partition}:{offset}" for partition, offset in self._offsets.items())

    def __repr__(self) -> str:
        return f"Cursor.parse({str(self)!r})"
