"""Searches the log before an append: for drafts that have landed already, and for events that break its conditions.

These searches do not block the writers. The commit searches the short rest, the last events, under the write lock.
"""

from collections.abc import Mapping, Sequence

from ..conditions import conditions_of
from ..event import Draft, Plain, check, sizes_of_plain
from ..limits import CONDITION_LOCKED_EVENTS
from ..log import check_batch, check_partitions, refuse_unreached
from ..runtime import blocking
from ..writer import Writer
from .conflicts import find_conflict
from .pending_append import NumberedAppend, PendingAppend
from .reads import Reads
from .repeats import Landmarks, identities, identity_of, search


async def search_before(reads: Reads, writer: Writer, landmarks: Landmarks, entry: PendingAppend) -> None:
    """Search the log for drafts handed in before."""
    wanted = identities(entry.drafts)
    bounds = reads.bounds()
    own = [seq for identity, seq in wanted if identity == writer.id]
    start = landmarks.lowest_offset(min(own)) if len(own) == len(wanted) else 0
    start, end = max(start, bounds.first[0]), bounds.end[0]
    looking = blocking.in_thread(lambda: reads.reading(lambda connection: search(connection, wanted, start, end)))
    await blocking.settled(looking)
    entry.known, entry.searched_to = looking.result(), end


def is_lone_behind(drafts: Sequence[Draft], since: Mapping[int, int], end: int) -> bool:
    """Check a draft that was numbered elsewhere when the log had reached `end`, and return True; else return False.

    If the log still ends there, the draft cannot stand in it, nor has another log come in its place.
    """
    if not (type(drafts) is Plain and len(drafts) == len(since) == 1 and since.get(0) == end):
        return False
    check(drafts[0])
    check_partitions(drafts, 1)
    return True


async def numbered(
    reads: Reads, writer: Writer, url: str, drafts: Sequence[Draft], since: Mapping[int, int]
) -> NumberedAppend:
    """Check drafts that were numbered elsewhere, and search the log from `since` on for them.

    A short stretch is searched by the commit, under the lock.
    """
    plain = type(drafts) is Plain
    check_batch(sizes_of_plain(drafts) if plain else list(map(check, drafts)))
    check_partitions(drafts, 1)
    bounds = reads.bounds()
    refuse_unreached(url, since, bounds.end)
    entry = NumberedAppend(drafts, plain=plain)
    entry.searched_to = start = max(since.get(0, 0), bounds.first[0])
    end = bounds.end[0]
    if end - start > CONDITION_LOCKED_EVENTS:
        wanted = {*map(identity_of, drafts)}
        looking = blocking.in_thread(lambda: reads.reading(lambda connection: search(connection, wanted, start, end)))
        await blocking.settled(looking)
        entry.known, entry.searched_to = looking.result(), end
    if entry.conditional:
        await check_before(reads, writer, entry)
    return entry


async def check_before(reads: Reads, writer: Writer, entry: PendingAppend) -> None:
    """Check the conditions of an append; `EventConflict` if an event breaks one."""
    drafts = [draft for draft in entry.drafts if not draft.seq or (draft.writer, draft.seq) not in entry.known]
    conditions = conditions_of(drafts)
    if conditions is None:
        return
    # Not beyond the end of the search for drafts handed in before: behind it they could stand themselves.
    end = entry.searched_to if any(draft.seq for draft in drafts) else reads.bounds().end[0]
    if end - conditions.lowest <= CONDITION_LOCKED_EVENTS:
        return
    looking = blocking.in_thread(
        lambda: reads.reading(lambda connection: find_conflict(connection, conditions, 0, end))
    )
    await blocking.settled(looking)
    found = looking.result()
    if found is not None:
        for draft in drafts:
            writer.forget(draft)
        raise conditions.conflict(0, *found)
    entry.checked_to = end
