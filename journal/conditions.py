"""The conditions of appends, and the pure rule that decides whether an event breaks them.

A draft with `expected` lands only if no event of its key stands behind that offset, or, with `whole_partition`, no
event at all. The conditions of one append concern the log before it: its own events never conflict with one another.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from .cursor import Position
from .errors import EventConflict, InvalidEvent, JournalDiverged
from .event import Draft
from .row_decoder import RowDecoder

# An append's expectation: the position of the last event taken into account, or the cursor of its reader.
Expected = Position | Mapping[int, int]


class Partitioned(Protocol):
    """The part of a log that assigns partitions to keys."""

    def partition_of(self, key: str | None) -> int:
        """The partition of a key."""
        ...


class Conditions(msgspec.Struct, frozen=True):
    """The conditions of one append: for each key the offset behind which no event of it may stand.

    `whole` is the offset behind which no event of the partition may stand; None if no draft asks for that.
    """

    keys: dict[str, int]
    whole: int | None = None

    @property
    def lowest(self) -> int:
        """The offset behind which the events have to be checked."""
        offsets = list(self.keys.values())
        return min(offsets if self.whole is None else [*offsets, self.whole])

    @property
    def highest(self) -> int:
        """The highest offset of an event that the caller knows of."""
        return max([*self.keys.values(), -1 if self.whole is None else self.whole])

    def diverged(self, partition: int, end: int) -> JournalDiverged | None:
        """Return an error if the caller knows of an event behind the end of the partition, else None.

        The caller has read that event in another history, so conflicts with events appended since cannot be detected.
        """
        if self.highest < end:
            return None
        found = f"partition {partition} ends at offset {end}"
        return JournalDiverged(partition, self.highest + 1, end, found, common_offset=end)

    def is_broken_by(self, offset: int, key: str | None) -> bool:
        """Whether an event of `key` at `offset` breaks a condition."""
        if self.whole is not None and offset > self.whole:
            return True
        return key is not None and offset > self.keys.get(key, offset)

    def conflict(self, partition: int, offset: int, key: str | None) -> EventConflict:
        """Return the error for the event of `key` at `offset`, which breaks a condition."""
        of_key = key if key is not None and offset > self.keys.get(key, offset) else None
        expected = self.keys[of_key] if of_key is not None else self.whole
        assert expected is not None, "an event breaks a condition of its key or of the partition"
        return EventConflict(Position(partition, offset), expected, of_key)


def conditions_of(drafts: Iterable[Draft]) -> Conditions | None:
    """The conditions of an append; None if it has none. Of several conditions on one key the strictest counts."""
    keys: dict[str, int] = {}
    whole: int | None = None
    for draft in drafts:
        expected = draft.expected
        if expected is None:
            continue
        if draft.whole_partition:
            whole = expected if whole is None else min(whole, expected)
        else:
            assert draft.key is not None, "a draft with a condition on its key has one: see `check`"
            keys[draft.key] = min(expected, keys.get(draft.key, expected))
    return Conditions(keys, whole) if keys or whole is not None else None


def expect(log: Partitioned, drafts: Iterable[Draft], expected: Expected, *, whole_partition: bool) -> None:
    """Make each draft conditional; `InvalidEvent` if `expected` does not name the draft's partition."""
    for draft in drafts:
        partition = draft.partition if draft.partition is not None else log.partition_of(draft.key)
        draft.expected, draft.whole_partition = _last_offset(draft, expected, partition), whole_partition


def _last_offset(draft: Draft, expected: Expected, partition: int) -> int:
    """The offset of the last event that was taken into account in that partition."""
    if isinstance(expected, Position) and expected.partition == partition:
        return expected.offset
    if isinstance(expected, Mapping) and partition in expected:
        return expected[partition] - 1
    if not isinstance(expected, Position | Mapping):
        raise InvalidEvent(
            f"expected of {draft.name!r} is the Position of the last event known, or the Cursor up to which was read; "
            f"got a value of type {type(expected).__name__}"
        )
    raise InvalidEvent(
        f"the event {draft.name!r} with the key {draft.key!r:.80} belongs to partition {partition}, which {expected!r} "
        "does not name: pass the position of the last event of this key, or a cursor that names the partition"
    )


def is_conditional(drafts: Iterable[Draft]) -> bool:
    """Whether any of the drafts has a condition."""
    return any(draft.expected is not None for draft in drafts)


def only_partition(partitions: Sequence[int]) -> int:
    """The one partition of a conditional append; `InvalidEvent` if its drafts belong to several."""
    if len({*partitions}) > 1:
        raise InvalidEvent(
            "an append with an expected position lands whole or not at all, so its events must share a partition; got "
            f"the partitions {', '.join(map(str, sorted({*partitions})))}. Make one append for each partition."
        )
    return partitions[0]


class _Keyed(msgspec.Struct, gc=False):
    key: str | None = None


_keyed: Final = RowDecoder(_Keyed)


def key_of(row: bytes) -> str | None:
    """The key of the encoded event; None if it has none, or if the record is not an event."""
    found = _keyed.read(row)
    return found.key if found is not None else None


def conflicts(conditions: Conditions, rows: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, str | None]]:
    """Offset and key of each event among `(offset, row)` that breaks one of the conditions, in the order given."""
    for offset, row in rows:
        key = key_of(row)
        if conditions.is_broken_by(offset, key):
            yield offset, key
