"""The position of an event in the log, and the cursor of a reader."""

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, Self

from .fingerprint import FINGERPRINT_CHARS, Mark, fingerprint_of, mark

_MICROSECONDS: Final = 1_000_000
# partition:offset, and of the event behind it its fingerprint, its time, and how many offsets lie between.
_PART: Final = re.compile(
    rf"\s*(\d{{1,9}})\s*:\s*(\d{{1,19}})\s*(?::([0-9a-f]{{{FINGERPRINT_CHARS}}})(?:\.([0-9a-f]{{1,16}}))?(?:~(\d{{1,19}}))?)?\s*",
    re.ASCII,
)

# The last event that a reader has passed: its mark, or its offset and encoded record, from which a mark is made.
Behind = Mark | tuple[int, bytes]


class Position(NamedTuple):
    """The place of one event: fixed by the log when the event becomes durable, and never changed."""

    partition: int
    offset: int


class Cursor(Mapping[int, int]):
    """The progress of a reader: for each partition the offset it reads next.

    Immutable. `str(cursor)` is opaque to users and stable across versions; `Cursor.parse` reads it back. A cursor may
    name only some of a log's partitions; a reader then follows only those.

    A cursor also knows, in each partition, the event that its reader has just passed (`marks`), so that a reader which
    resumes notices when another event stands there: the log was restored from a copy, or replaced. One made of offsets
    alone knows none and is not checked. Equality and order are those of the offsets.
    """

    __slots__ = ("_behind", "_offsets")

    def __init__(self, offsets: Mapping[int, int], behind: Mapping[int, Behind] | None = None) -> None:
        for partition, offset in offsets.items():
            if partition < 0 or offset < 0:
                raise ValueError(f"a cursor holds partitions and offsets from 0 up, got {partition}:{offset}")
        self._offsets = dict(sorted(offsets.items()))
        if behind is None:
            # A plain mapping first: an abstract class takes long to say that something is no instance of it.
            behind = offsets.behind if type(offsets) is not dict and isinstance(offsets, Cursor) else {}
        self._behind: Mapping[int, Behind] = behind

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str(cursor)` wrote, in this version or an older one; `ValueError` says what was expected."""
        offsets: dict[int, int] = {}
        behind: dict[int, Behind] = {}
        for part in text.split(","):
            if not part:
                continue
            found = _PART.fullmatch(part)
            if found is None:
                raise _no_cursor(text)
            partition, offset = int(found[1]), int(found[2])
            offsets[partition] = offset
            if found[3]:
                time = int(found[4], 16) / _MICROSECONDS if found[4] else None
                behind[partition] = Mark(offset - 1 - int(found[5] or 0), found[3], time)
        if any(each[0] < 0 for each in behind.values()):
            raise _no_cursor(text)
        return cls(offsets, behind)

    @property
    def offsets(self) -> str:
        """The offsets alone, as text for people; `Cursor.parse` reads it as a cursor that is not checked."""
        return ",".join(f"{partition}:{offset}" for partition, offset in self._offsets.items())

    @property
    def behind(self) -> Mapping[int, Behind]:
        """The source of `marks`: marks, or offsets and encoded records."""
        return self._behind

    @property
    def marks(self) -> Mapping[int, Mark]:
        """For each partition where it is known, the last event that a reader at this cursor has passed."""
        marks = {
            partition: each if isinstance(each, Mark) else mark(*each)
            for partition, each in self._behind.items()
            if each[0] < self._offsets.get(partition, 0)
        }
        self._behind = marks
        return marks

    def advanced(self, partition: int, next_offset: int, row: bytes | None = None) -> "Cursor":
        """The cursor of a reader that has now read `partition` up to, not including, `next_offset`.

        `row` is the encoded event just before it, where that is known.
        """
        behind = dict(self._behind)
        if row is not None:
            behind[partition] = (next_offset - 1, row)
        elif next_offset != self._offsets.get(partition):
            behind.pop(partition, None)
        return Cursor({**self._offsets, partition: next_offset}, behind)

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
        marks = self.marks
        return ",".join(
            f"{partition}:{offset}{_text(offset, marks.get(partition))}" for partition, offset in self._offsets.items()
        )

    def __repr__(self) -> str:
        return f"Cursor.parse({str(self)!r})"


def text_behind(partition: int, offset: int, identity: tuple[str, int], time: float) -> str:
    """Return the text of the cursor of a reader of one partition that has just passed the event at `offset`.

    `identity` is the event's writer and number, which it must have; a tenth of the cost of the cursor itself.
    """
    return f"{partition}:{offset + 1}:{fingerprint_of(*identity)}.{round(time * _MICROSECONDS):x}"


def _no_cursor(text: str) -> ValueError:
    return ValueError(f"expected a cursor such as '0:42' or '0:42,1:7', got {text!r:.80}")


def _text(offset: int, behind: Mark | None) -> str:
    if behind is None:
        return ""
    time = "" if behind.time is None else f".{round(behind.time * _MICROSECONDS):x}"
    distance = offset - 1 - behind.offset
    return f":{behind.fingerprint}{time}" + (f"~{distance}" if distance else "")
