"""Snapshots: the state of a view at a cursor, kept beside the log so that a reader need not replay all of history.

A log keeps snapshots in a `SnapshotStore`, which has four small operations and no policy. The policy of all stores is
in this module: a snapshot is *sealed* (compressed, with a hash of its state and label), one with a wrong hash or size
is logged once and never used, readers take the newest fitting one, and old ones are removed.

A snapshot is only an optimisation: without one, the log is replayed.
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
_logged: set[str] = set()


class SnapshotLabel(NamedTuple):
    """The metadata of a snapshot, without its state.

    - `id`: unique among all snapshots.
    - `view`, `schema`: the view of the state, and its form; only a view of the same schema can load it.
    - `cursor`: the events up to it had been applied.
    - `created`: a time after all its events, as a rule when it was taken, by the writer's clock, in seconds since the
      epoch.
    - `anchor`: an event before the cursor and the checksum of its record, which detects that the journal was replaced
      by another one; empty if there is none.
    - `size`: the size of the sealed state, in bytes.
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
        """The number of events it saves its reader; the snapshot with the greater reach is the newer one."""
        return sum(self.cursor.values())


class Snapshot(NamedTuple):
    """The state of a view as its `snapshot` returned it, and its label."""

    label: SnapshotLabel
    state: bytes


@runtime_checkable
class SnapshotStore(Protocol):
    """The store of a log's snapshots. As thread-safe as the log itself."""

    async def listed(self) -> Sequence[SnapshotLabel]:
        """Return the label of each complete snapshot, in no particular order."""
        ...

    async def load(self, label: SnapshotLabel) -> bytes | None:
        """Return the sealed state; None if it was removed meanwhile or cannot be read."""
        ...

    async def save(self, label: SnapshotLabel, sealed: bytes) -> None:
        """Make a snapshot durable; readers see all of it or none."""
        ...

    async def remove(self, labels: Sequence[SnapshotLabel]) -> None:
        """Remove these snapshots; ignore those that are gone already."""
        ...


def seal(
    view: str, schema: str, cursor: Mapping[int, int], created: float, state: bytes, anchor: str = ""
) -> tuple[SnapshotLabel, bytes]:
    """Return the label and the sealed form of a state; `ValueError` if it is larger than `SNAPSHOT_BYTES_MAX`."""
    if len(state) > SNAPSHOT_BYTES_MAX:
        raise ValueError(
            f"the state of the view {view!r} takes {len(state):,} bytes; snapshots are kept up to "
            f"SNAPSHOT_BYTES_MAX = {SNAPSHOT_BYTES_MAX:,}. Its readers replay the journal instead."
        )
    sealed = zlib.compress(state, _FAST)
    label = SnapshotLabel(uuid.uuid4().hex, view, schema, Cursor(cursor), created, anchor, len(sealed), b"")
    return label._replace(digest=_digest(label, sealed)), sealed


def unseal(label: SnapshotLabel, sealed: bytes) -> bytes:
    """Return the state; `ValueError` says how the snapshot differs from its label."""
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
    text = "\0".join(map(str, words))
    digest = hashlib.blake2b(text.encode(), digest_size=_HASH_BYTES)
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
    """Return the snapshots that a reader of `view` can start from, newest first.

    `first` is the beginning of history now: a snapshot from before it would leave a gap. `at` is the latest acceptable
    cursor.
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
    """Load the snapshot of that label; if it is damaged, log that once and return None."""
    sealed = await store.load(label)
    if sealed is None:
        return None
    try:
        return Snapshot(label, unseal(label, sealed))
    except ValueError as error:
        distrust(label, str(error))
        return None


def distrust(label: SnapshotLabel, why: str) -> None:
    """Log once, for each snapshot, why it is not used."""
    if label.id not in _logged:
        _logged.add(label.id)
        logger.warning("the snapshot of the view %r at %s is not used: %s", label.view, label.cursor.offsets, why)


async def prune(store: SnapshotStore, view: str, first: Mapping[int, int], keep: int = SNAPSHOTS_KEPT) -> None:
    """Remove the snapshots of `view` that no reader needs any more, of any schema.

    It keeps the newest `keep` and, once retention has trimmed history, the oldest that still reaches its beginning
    `first`: without it the states from there on could not be rebuilt.
    """
    own = sorted((label for label in await store.listed() if label.view == view), key=lambda label: label.reach)
    kept = own[max(0, len(own) - keep) :]
    if any(first.values()):
        kept += [label for label in own if label.cursor.reaches(first)][:1]
    spare = [label for label in own if label not in kept]
    if spare:
        await store.remove(spare)
