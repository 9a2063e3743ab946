"""Find workers by the end of their ids, among the sessions that the index knows; also workers that have gone."""

from ...journal.async_journal import AsyncJournal
from ..limits import SHORT_ID_SESSIONS_MAX
from ..state.decoding import fact
from .index import task_index
from .records import rows_at
from .short_ids import stands_for


async def worker_ids_for(journal: AsyncJournal, part: str) -> list[str]:
    """Return the ids that end with `part`, ignoring case, of the workers that have, or had, a session.

    The index's file yields the newest `SHORT_ID_SESSIONS_MAX` such sessions of each partition.
    """
    log = await journal.open()
    known: set[str] = set()
    for partition in range(log.partitions):
        snapshot = await task_index(journal).snapshot(partition, worker="")
        known.update(snapshot.batch.session_workers())
        offsets = snapshot.store.sessions_like(part, partition, SHORT_ID_SESSIONS_MAX)
        for row in (await rows_at(log, partition, offsets)).values():
            said = fact(row)
            known.add(said.context.worker if said is not None else "")
    return sorted(worker for worker in known if stands_for(part, worker))
