"""`AsyncJournalConsumer`: following a journal from asyncio."""

import asyncio
import time
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self, Unpack

from ..journal.asynchronous import AsyncJournal
from ..journal.cursor import Cursor
from ..journal.limits import PAGE_EVENTS
from .checkpoint import JournalCheckpoint
from .course import ConsumerCourse
from .definition import ConsumerOptions, PlainEvents
from .engine.backlog import Backlog
from .engine.reader import OutOfTime
from .engine.stream import Stream
from .event import JournalEventBase
from .moments import Moment
from .statistics import Statistics


class AsyncJournalConsumerBase(ConsumerCourse):
    """Follows the events of `topic` from asyncio: history in time order, then what happens, until it is stopped.

    Options, hooks and meaning are those of `JournalConsumerBase`, `journal` is an `AsyncJournal`; events are taken by
    `await consumer.poll()` or by ``async for``, and an error is raised there. A task that waits may be cancelled at any
    time: no event is lost.
    """

    def __init__(
        self,
        journal: AsyncJournal,
        topic: str,
        cancel_topic: str | None = None,
        full: bool = True,
        since: Moment = 0.0,
        include_sentinel: bool = False,
        **options: Unpack[ConsumerOptions],
    ) -> None:
        if not isinstance(journal, AsyncJournal):
            raise TypeError(
                f"{type(self).__name__} follows an AsyncJournal, got {type(journal).__name__}; "
                "for a Journal there is JournalConsumer"
            )
        super().__init__(topic, cancel_topic, full, since, include_sentinel, **options)
        self.journal = journal
        self._backlog = Backlog()
        self._reading = asyncio.Lock()

    async def start(self) -> Self:
        """Start the stream of events; see `JournalConsumerBase.start`."""
        await self.aclose()
        stream = Stream(self.journal, self)
        self._committed = resume = await self._load_checkpoint()
        await stream.open(resume)
        self._set_out(stream)
        return self

    async def stop(self) -> None:
        """Ask the stream to end: what is in the journal by now is still delivered, then None."""
        await self._started("stop").request_stop()

    async def aclose(self) -> None:
        """End at once: nothing more is delivered; `poll()` returns None."""
        stream = self._stream
        if stream is None:
            return
        self._ended = True
        await stream.abandon()
        self._backlog.drop()
        async with self._reading:
            self._backlog.drop()
            await stream.aclose()

    # --- taking events ----------------------------------------------------------------------------------------------

    async def poll(self, timeout: float = -1.0) -> JournalEventBase | None:
        """The next event; None at the end of the stream, again and again; see `JournalConsumerBase.poll`."""
        deadline = None if timeout < 0 else time.monotonic() + timeout
        while True:
            for event in self._backlog.pending:
                return event
            if not await self._more(deadline):
                return None

    async def poll_batch(self, max_events: int = PAGE_EVENTS, timeout: float = -1.0) -> list[JournalEventBase]:
        """The next events that are there, at least one and at most `max_events`; an empty list at the end."""
        if max_events < 1:
            raise ValueError(f"a batch has at least one event, got max_events={max_events}")
        deadline = None if timeout < 0 else time.monotonic() + timeout
        taken: list[JournalEventBase] = []
        while not taken and (self._backlog.left or await self._more(deadline)):
            taken = self._backlog.take(max_events)
        return taken

    async def __aiter__(self) -> AsyncIterator[JournalEventBase]:
        """The events up to the end of the stream; starts the consumer if need be."""
        if self._stream is None:
            await self.start()
        while True:
            for event in self._backlog.pending:
                yield event
            if not await self._more(None):
                return

    async def _more(self, deadline: float | None) -> bool:
        """See to it that events are pending; False at the end of the stream."""
        stream = self._started("poll")
        try:
            async with asyncio.timeout(None if deadline is None else max(0.0, deadline - time.monotonic())):
                await self._reading.acquire()
        except TimeoutError:
            raise TimeoutError("another task is waiting for the next event of this consumer") from None
        try:
            return await self._fetch(stream, deadline)
        except OutOfTime:
            raise TimeoutError("no event came within the timeout given to poll(); the consumer goes on") from None
        finally:
            self._reading.release()

    # --- how far it has come ----------------------------------------------------------------------------------------

    async def commit(self) -> None:
        """Keep the cursor in the checkpoint: the events handed out so far have been processed."""
        if self.checkpoint is None:
            raise RuntimeError("this consumer has no checkpoint to commit to: make it with checkpoint='a-name'")
        stream = self._started("commit")
        cursor = self._backlog.cursor(stream.settled)
        if not isinstance(self.checkpoint, JournalCheckpoint):
            self.checkpoint.save(cursor)  # whether it lasts is the user's transaction to say
        elif cursor != self._committed:
            await self.checkpoint.save(self.journal, cursor)
            self._committed = cursor

    async def _load_checkpoint(self) -> Cursor | None:
        if isinstance(self.checkpoint, JournalCheckpoint):
            return await self.checkpoint.load(self.journal)
        return None if self.checkpoint is None else self.checkpoint.load()

    async def statistics(self) -> Statistics:
        """How the consumer is doing; asks the journal where its end is."""
        stream, delivered = self._started("statistics"), self._backlog.delivered
        cursor = self._backlog.cursor(stream.settled)
        rate = delivered / max(1e-9, time.monotonic() - self._started_at)
        return Statistics(delivered, rate, await stream.lag(cursor), stream.progress(cursor))

    async def __aenter__(self) -> Self:
        return self if self._stream is not None else await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


class AsyncJournalConsumer(PlainEvents, AsyncJournalConsumerBase):
    """Follows a journal from asyncio and hands out its events as they are; all of them unless a topic is named.

    See `JournalConsumerBase` for the options.
    """

    def __init__(
        self,
        journal: AsyncJournal,
        topic: str = "",
        cancel_topic: str | None = None,
        full: bool = True,
        since: Moment = 0.0,
        include_sentinel: bool = False,
        **options: Unpack[ConsumerOptions],
    ) -> None:
        AsyncJournalConsumerBase.__init__(self, journal, topic, cancel_topic, full, since, include_sentinel, **options)
