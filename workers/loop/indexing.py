"""Keep the task index near the end of the log, off the worker's hot path.

A background task re-reads from time to time what the index does not cover and writes it. On a file a thread does that,
which takes a small share of the time while many events come. On Kafka the worker leaves the index alone while many
events come: readers then read the missing part from the log. An index that is very far behind is filled all the same.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from ...journal.async_journal import AsyncJournal
from ...journal.runtime import blocking
from ...tasks.index.index import TaskIndex, task_index
from ...tasks.index.pace import Pace, Stopped
from ...tasks.limits import INDEX_BUSY_EVENTS, INDEX_INTERVAL_SECONDS, INDEX_LAG_EVENTS_MAX
from ..limits import INDEX_SPREAD_SHARE

logger = logging.getLogger("journeyman.worker")


def is_due(came: int, behind: int, *, paced: bool) -> bool:
    """Return whether to fill an index that is `behind` by so many events, when so many `came` since the last look.

    `paced` says whether filling takes only a small share of the time.
    """
    return behind > 0 and (paced or came <= INDEX_BUSY_EVENTS or behind > INDEX_LAG_EVENTS_MAX)


class IndexKeeper:
    """Fills the index of `journal` for one worker loop; `position()` is how far that has read each partition."""

    def __init__(self, journal: AsyncJournal, position: Callable[[], Mapping[int, int]]) -> None:
        self._journal = journal
        self._position = position
        self._seen = 0
        self._came = self._counted = 0  # events, for `_is_busy`
        self._asked = 0.0
        self._pace = Pace(self._is_busy if not journal.log.needs_loop else lambda: False)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the background task. Call in the event loop."""
        self._seen = sum(self._position().values())
        self._task = asyncio.get_running_loop().create_task(self._keep(), name="journeyman-index")

    async def aclose(self) -> None:
        """Stop the background task; readers read what is not indexed yet from the log."""
        self._pace.stop()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(INDEX_INTERVAL_SECONDS * random.uniform(1 - INDEX_SPREAD_SHARE, 1 + INDEX_SPREAD_SHARE))
            try:
                await self._look()
            except Stopped:
                return
            except Exception as error:  # any error: the index is derived data, and the worker's tasks go on
                logger.debug("the task index was not filled: %s", error)

    async def _look(self) -> None:
        index = task_index(self._journal)
        if index.is_private:
            return  # readers in other processes cannot see it
        position = self._position()
        came, self._seen = sum(position.values()) - self._seen, sum(position.values())
        if not self._seen:
            return  # an empty journal needs no file
        behind = sum(max(0, end - index.covered_up_to(partition)) for partition, end in position.items())
        if is_due(came, behind, paced=not self._journal.log.needs_loop):
            await self._fill(index)

    async def _fill(self, index: TaskIndex) -> None:
        if self._journal.log.needs_loop:
            await index.catch_up(self._pace.go_on)
            return
        self._pace.begin()
        filled = blocking.in_thread(lambda: index.fill_apart(self._pace.go_on))
        await blocking.settled(filled)
        filled.result()

    def _is_busy(self) -> bool:
        """Return whether many events have come in the last interval, or since."""
        now, position = time.monotonic(), sum(self._position().values())
        if now - self._asked >= INDEX_INTERVAL_SECONDS:
            self._came, self._counted, self._asked = position - self._counted, position, now
        return max(self._came, position - self._counted) > INDEX_BUSY_EVENTS
