"""A worker keeps the task index near the end of the log, off its hot path.

Nothing is handed over: now and then, what the index does not cover is read again and written, in a thread where the log
allows it. On a file that is done inside SQLite, without the interpreter's lock, so the tasks hardly feel it. On another
log the worker leaves the index alone while many events come, as it would take time from the tasks: a reader then reads
what is missing itself. Only an index that is very far behind is filled all the same.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from ...journal.async_journal import AsyncJournal
from ...journal.log import Extracting
from ...journal.runtime import blocking
from ...tasks.index.index import TaskIndex, task_index
from ..limits import INDEX_BUSY_EVENTS, INDEX_INTERVAL_SECONDS, INDEX_LAG_EVENTS_MAX

logger = logging.getLogger("journeyman.worker")

# Workers of one file look at different moments, so that one of them finds that another has filled it.
_JITTER: Final = 0.25


class _Stopped(Exception):
    """The worker ends before the index is filled."""


def is_due(came: int, behind: int, *, in_bulk: bool) -> bool:
    """Whether to fill an index that is `behind` by so many events, when so many `came` since the last look.

    `in_bulk` says whether the log can be read without taking time from the tasks.
    """
    return behind > 0 and (in_bulk or came <= INDEX_BUSY_EVENTS or behind > INDEX_LAG_EVENTS_MAX)


class IndexKeeper:
    """Fills the index of `journal` for one foreman; `position` says how far that has read each partition."""

    def __init__(self, journal: AsyncJournal, position: Callable[[], Mapping[int, int]]) -> None:
        self._journal = journal
        self._position = position
        self._seen = 0
        self._stopped = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look now and then from here on. Call in the loop."""
        self._seen = sum(self._position().values())
        self._task = asyncio.get_running_loop().create_task(self._keep(), name="journeyman-index")

    async def aclose(self) -> None:
        """Stop; what is not written yet, a reader reads itself."""
        self._stopped = True
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(INDEX_INTERVAL_SECONDS * random.uniform(1 - _JITTER, 1 + _JITTER))
            try:
                await self._look()
            except _Stopped:
                return
            except Exception as error:  # whatever it is: the index is derived, and the worker's tasks go on
                logger.debug("the task index was not filled: %s", error)

    async def _look(self) -> None:
        index = task_index(self._journal)
        if index.is_private:
            return  # its journal's readers in other processes have another one
        position = self._position()
        came, self._seen = sum(position.values()) - self._seen, sum(position.values())
        if not came and self._seen == 0:
            return
        behind = sum(max(0, end - index.covered_up_to(partition)) for partition, end in position.items())
        if is_due(came, behind, in_bulk=isinstance(self._journal.log, Extracting)):
            await self._fill(index)

    async def _fill(self, index: TaskIndex) -> None:
        if self._journal.log.needs_loop:
            await index.catch_up(self._go_on)
            return
        filled = blocking.in_thread(lambda: blocking.run(index.catch_up(self._go_on)))
        await blocking.settled(filled)
        filled.result()

    def _go_on(self, _done: int, _all: int) -> None:
        if self._stopped:
            raise _Stopped
