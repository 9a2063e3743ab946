"""Appends to a topic for remote writers, each draft once; see `Relaying.append_numbered`.

A record keeps the remote writer's id and number, so readers drop a second record with the same number, even if another
process has written it. So the relay searches the topic only for drafts that may have landed: those numbered up to the
last number that this process has appended for the writer, and all drafts of a writer that it has not seen.

The records of a conditional append get numbers of this process instead: readers ignore a refused append, and its next
attempt needs new numbers. This process recognises its own attempts; after its restart, a repeated conditional append
that had landed is refused as a conflict with itself.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from ..conditions import is_conditional
from ..errors import AppendInDoubt
from ..event import Draft, Event
from ..event_decoding import decode
from .appends import Appends
from .limits import DEDUPE_WRITERS_MAX
from .lookup import Lookup

Identity = tuple[str, int]


class _Writer:
    """A remote writer: its last number that has landed through this process, and its drafts that are in doubt."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.last = 0
        self.doubtful: dict[Identity, Draft] = {}


class Relay:
    """The appends of remote writers to one log."""

    def __init__(self, appends: Appends, lookup: Lookup) -> None:
        self._appends = appends
        self._lookup = lookup
        self._writers: OrderedDict[str, _Writer] = OrderedDict()

    async def append(self, drafts: Sequence[Draft], since: Mapping[int, int]) -> list[Event]:
        """Append what has not landed yet, and return the events of all in the order given."""
        if not drafts:
            return []
        writer = self._writer(drafts[0].writer)
        async with writer.lock:
            may_have_landed = not writer.last or min(draft.seq for draft in drafts) <= writer.last
            events = await self._search(drafts, since) if may_have_landed else {}
            fresh = [draft for draft in drafts if _identity(draft) not in events]
            conditional = is_conditional(fresh)
            copies = {
                _identity(draft): writer.doubtful.get(_identity(draft)) or _copy(draft, conditional=conditional)
                for draft in fresh
            }
            try:
                events.update(zip(copies, await self._appends.append(list(copies.values())), strict=True))
            except (AppendInDoubt, asyncio.CancelledError):
                writer.doubtful.update(copies)  # handed in again as they are, they are recognised
                raise
            for identity in copies:
                writer.doubtful.pop(identity, None)
            # Not of what was found: a log may have numbered it, and then its numbers say nothing about the next.
            writer.last = max([writer.last, *(each.seq for each in fresh if each.writer == drafts[0].writer)])
        return [events[_identity(draft)] for draft in drafts]

    def _writer(self, name: str) -> _Writer:
        writer = self._writers.pop(name, None) or _Writer()
        self._writers[name] = writer
        if len(self._writers) > DEDUPE_WRITERS_MAX:
            self._writers.popitem(last=False)
        return writer

    async def _search(self, drafts: Sequence[Draft], since: Mapping[int, int]) -> dict[Identity, Event]:
        wanted: dict[int, set[Identity]] = {}
        for draft in drafts:
            partition = draft.partition if draft.partition is not None else self._appends.partition_of(draft.key)
            wanted.setdefault(partition, set()).add(_identity(draft))
        events: dict[Identity, Event] = {}
        ends = await self._lookup.ends(wanted)
        for partition, identities in wanted.items():
            found = await self._lookup.find(partition, since.get(partition, 0), ends[partition], identities)
            for identity, offset in found.items():
                rows = await self._lookup.read(partition, offset, offset + 1, 1)
                events[identity] = decode(rows.rows[0], partition, offset)
        return events


def _identity(draft: Draft) -> Identity:
    return draft.origin or (draft.writer, draft.seq)


def _copy(draft: Draft, *, conditional: bool) -> Draft:
    """The draft as this process appends it."""
    return Draft(
        draft.name,
        draft.context,
        draft.key,
        draft.partition,
        draft.timestamp,
        draft.version,
        origin=draft.origin if conditional else _identity(draft),
        expected=draft.expected,
        whole_partition=draft.whole_partition,
    )
