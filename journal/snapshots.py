"""Snapshots: the state of a view at a cursor, kept beside the log so that a reader need not replay all of history.

A log keeps snapshots in a `SnapshotStore`: four small operations, nothing decided. What is decided stands here, once
for all stores: a snapshot is *sealed* (compressed, and signed with a hash of its state and of all that is said about
it), one whose hash or size is wrong is told of once and never used, the newest fitting one is taken, and the old ones
are removed.

A snapshot is never needed to know the truth: without one, the log is replayed.
"""

import hashlib
import logging
import uuid
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol, runtime_checkable

from .cursor import Cursor
from .limits import SNAPSHOT_BYTES_MAX, SNAPSHOTS_KEPT

logger = logging.getLogger("journeyman")

_HASH_BYTES: Final = 16
_FAST: Final = 1
_told_of: set[str] = set()


class SnapshotLabel(NamedTuple):
    """What is said about a snapshot, without its state.

    - `id`: unique among all snapshots.
    - `view`, `schema`: whose state it is, and in what form; only a view of the same schema can take it back.
    - `cursor`: what had been applied.
    - `created`: when all that it covers had happened, as a rule when it was taken, by the writer's clock, in seconds
      since the epoch.
    - `anchor`: an event before the cursor and the checksum of its record, so that a snapshot is not taken for one of
      another journal that has come to stand in the place of its own; empty if there is none.
    - `size`: the sealed state's, in bytes.
    - `digest`: the hash of the sealed state and of all the above.
    """

    id: str
    view: str
    schema: str
    cursor: Cursor
    created: float
    anchor: str
    size: int
    digest: bytes

    @property
    def reach(self) -> int:
        """How many events it saves its reader: the measure by which one snapshot is newer than another."""
        return sum(self.cursor.values())


class Snapshot(NamedTuple):
    """The state of a view as its `snapshot` gave it, and what is said about it."""

    label: SnapshotLabel
    state: bytes


@runtime_checkable
class SnapshotStore(Protocol):
    """Where the snapshots of a log are kept. Safe to use from any thread in which the log itself is."""

    async def listed(self) -> Sequence[SnapshotLabel]:
        """What is said about each snapshot that is complete, in no particular order."""
        ...

    async def load(self, label: SnapshotLabel) -> bytes | None:
        """The sealed state, as it is stored; None if it was removed meanwhile or cannot be read."""
        ...

    async def save(self, label: SnapshotLabel, sealed: bytes) -> None:
        """Make a snapshot durable: all of it or, to readers, none."""
        ...

    async def remove(self, labels: Sequence[SnapshotLabel]) -> None:
        """Remove these snapshots; those that are gone already are passed over."""
        ...


def seal(
    view: str, schema: str, cursor: Mapping[int, int], created: float, state: bytes, anchor: str = ""
) -> tuple[SnapshotLabel, bytes]:
    """The label and the sealed form of a state; `ValueError` if it is larger than `SNAPSHOT_BYTES_MAX`."""
    if len(state) > SNAPSHOT_BYTES_MAX:
        raise ValueError(
            f"the state of the view {view!r} takes {len(state):,} bytes; snapshots are kept up to "
            f"SNAPSHOT_BYTES_MAX = {SNAPSHOT_BYTES_MAX:,}. Its readers replay the journal instead."
        )
    sealed = zlib.compress(state, _FAST)
    label = SnapshotLabel(uuid.uuid4().hex, view, schema, Cursor(cursor), created, anchor, len(sealed), b"")
    return label._replace(digest=_digest(label, sealed)), sealed


def unseal(label: SnapshotLabel, sealed: bytes) -> bytes:
    """The state; `ValueError` says in what the snapshot is not what its label says."""
    if len(sealed) != label.size:
        raise ValueError(f"it has {len(sealed):,} bytes instead of {label.size:,}")
    if _digest(label, sealed) != label.digest:
        raise ValueError("its hash does not match")
    unpacker = zlib.decompressobj()
    try:
        state = unpacker.decompress(sealed, SNAPSHOT_BYTES_MAX)
    except zlib.error as error:
        raise ValueError(f"it cannot be unpacked ({error})") from error
    if not unpacker.eof:
        raise ValueError(f"it is cut off, or larger than {SNAPSHOT_BYTES_MAX:,} bytes")
    return state


def _digest(label: SnapshotLabel, sealed: bytes) -> bytes:
    words = (label.id, label.view, label.schema, label.cursor, label.created, label.anchor, label.size)
    said = "\0".join(map(str, words))
    digest = hashlib.blake2b(said.encode(), digest_size=_HASH_BYTES)
    digest.update(sealed)
    return digest.digest()


def fitting(
    labels: Iterable[SnapshotLabel],
    view: str,
    schema: str,
    *,
    first: Mapping[int, int],
    at: Mapping[int, int] | None = None,
) -> list[SnapshotLabel]:
    """The snapshots that a reader of `view` can start from, newest first.

    `first` is where history begins now: a snapshot from before it would leave a gap. `at` is the latest cursor wanted.
    """
    found = [
        label
        for label in labels
        if label.view == view
        and label.schema == schema
        and label.cursor.keys() >= first.keys()
        and label.cursor.reaches(first)
        and (at is None or all(offset <= at.get(partition, 0) for partition, offset in label.cursor.items()))
    ]
    return sorted(found, key=lambda label: label.reach, reverse=True)


async def load(store: SnapshotStore, label: SnapshotLabel) -> Snapshot | None:
    """The snapshot of that label, or None, told of once, if it is not what it should be."""
    sealed = await store.load(label)
    if sealed is None:
        return None
    try:
        return Snapshot(label, unseal(label, sealed))
    except ValueError as error:
        distrust(label, str(error))
        return None


def distrust(label: SnapshotLabel, why: str) -> None:
    """Say once, for each snapshot, why it is not used."""
    if label.id not in _told_of:
        _told_of.add(label.id)
        logger.warning("the snapshot of the view %r at %s is not used: %s", label.view, label.cursor.offsets, why)


async def prune(store: SnapshotStore, view: str, first: Mapping[int, int], keep: int = SNAPSHOTS_KEPT) -> None:
    """Remove the snapshots of `view` that nobody needs any more, whatever their schema.

    Kept are the newest `keep`; and, once retention has trimmed history, the oldest that still reaches its beginning
    `first`, without which no earlier moment could be told any more.
    """
    own = sorted((label for label in await store.listed() if label.view == view), key=lambda label: label.reach)
    kept = own[max(0, len(own) - keep) :]
    if any(first.values()):
        kept += [label for label in own if label.cursor.reaches(first)][:1]
    spare = [label for label in own if label not in kept]
    if spare:
        await store.remove(spare)
