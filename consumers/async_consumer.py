"""`AsyncJournalConsumer`: follow a journal from asyncio."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from types import TracebackType
from typing import Any, Self, Unpack

from ..journal.async_journal import AsyncJournal
from ..journal.cursor import Cursor
from ..journal.deadlines import deadline_of, finite_or_negative
from ..journal.limits import PAGE_EVENTS
from .callbacks import Callback, checked_callback
from .checkpoint import JournalCheckpoint
from .consumer_state import ConsumerState
from .engine.buffer import Buffer
from .engine.reader import OutOfTime
from .engine.stream import Stream
from .event import JournalEventBase
from .moments import Moment
from .options import ConsumerOptions, PlainEvents
from .parking import OnError, Parking, checked_parking, log_parked
from .statistics import Statistics


class AsyncJournalConsumerBase(ConsumerState):
    """Follows the events of `topic` from asyncio: history in time order, then live events, until it is stopped.

    Options, hooks and their meaning are those of `JournalConsumerBase`; `journal` is an `AsyncJournal`. Take events by
    `await consumer.poll()` or ``async for``; errors are raised there. A waiting task may be cancelled at any time: no
    event is lost.

    Callbacks run in the consumer's own task, one at a time. An awaitable result is awaited, so a callback may be a
    coroutine function; a plain function runs in the loop and blocks it. An error in a callback ends the delivery as in
    `JournalConsumerBase`; `on_error` may be a coroutine function.
    """

    def __init__(
        self,
        journal: AsyncJournal,
        topic: str,
        cancel_topic: str | None = None,
        full: bool = True,
        since: Moment = 0.0,
        include_sentinel: bool = False,
        *,
        on_error: OnError = None,
        **options: Unpack[ConsumerOptions],
    ) -> None:
        if not isinstance(journal, AsyncJournal):
            raise TypeError(
                f"{type(self).__name__} follows an AsyncJournal, got {type(journal).__name__}; "
                "for a Journal there is JournalConsumer"
            )
        super().__init__(topic, cancel_topic, full, since, include_sentinel, **options)
        self.journal = journal
        self._backlog = Buffer()
        self._reading = asyncio.Lock()
        self._callback: Callback | None = None
        self._delivery: _Delivery | None = None
        self._parking, self._on_error = checked_parking(on_error, self.attempts, self.checkpoint, "consumer")
        self._failure: BaseException | None = None

    async def start(self) -> Self:
        """Start the stream of events; see `JournalConsumerBase.start`."""
        await self._abandon()
        stream = Stream(self.journal, self)
        self._committed = resume = await self._load_checkpoint()
        await stream.open(resume)
        self._begin_stream(stream)
        self._failure = None
        self._deliver()
        return self

    async def stop(self) -> None:
        """Request the end: events already in the journal are still delivered, then None."""
        await self._started("stop").request_stop()
        self._raise_delivery_error()

    async def join(self, timeout: float = -1.0) -> None:
        """Wait until the callbacks have had the final None, at most `timeout` seconds (negative: for ever).

        Raises the error that ended their delivery, and `TimeoutError`.
        """
        if self._delivery is not None and not await self._delivery.over(timeout):
            raise TimeoutError(f"the callbacks were not through after {timeout:g} s; has stop() been called?")
        self._raise_delivery_error()

    async def aclose(self) -> None:
        """End at once: nothing more is delivered, not even None to callbacks; `poll()` returns None.

        A callback that is running is waited for. Raises an error that has ended the delivery to callbacks.
        """
        await self._abandon()
        self._raise_delivery_error()

    async def _abandon(self) -> None:
        stream, delivery = self._stream, self._delivery
        if stream is None:
            return
        if delivery is not None:
            delivery.ending.set()
        self._ended = True
        await stream.abandon()
        self._backlog.drop()
        if delivery is not None:
            await delivery.over()
        async with self._reading:
            self._backlog.drop()
            await stream.aclose()

    # --- taking events ----------------------------------------------------------------------------------------------

    async def poll(self, timeout: float = -1.0) -> JournalEventBase | None:
        """Return the next event; None at the end of the stream and after; see `JournalConsumerBase.poll`."""
        deadline = deadline_of(finite_or_negative(timeout))
        while True:
            if self._failure is None:
                for event in self._backlog.pending:
                    return event
            if not await self._more(deadline):
                return None

    async def poll_batch(self, max_events: int = PAGE_EVENTS, timeout: float = -1.0) -> list[JournalEventBase]:
        """Return the next available events, at least one and at most `max_events`; an empty list at the end."""
        if max_events < 1:
            raise ValueError(f"a batch has at least one event, got max_events={max_events}")
        deadline = deadline_of(finite_or_negative(timeout))
        self._raise_delivery_error()
        taken: list[JournalEventBase] = []
        while not taken and (self._backlog.left or await self._more(deadline)):
            taken = self._backlog.take(max_events)
        return taken

    async def __aiter__(self) -> AsyncIterator[JournalEventBase]:
        """Iterate over the events up to the end of the stream; starts the consumer if necessary."""
        if self._stream is None:
            await self.start()
        while True:
            for event in self._backlog.pending:
                yield event
            if not await self._more(None):
                return

    async def _more(self, deadline: float | None) -> bool:
        """Ensure that events are pending; False at the end of the stream."""
        self._raise_delivery_error()
        return await self._refill(self._started("poll"), deadline)

    async def _refill(self, stream: Stream, deadline: float | None) -> bool:
        """Fetch the next batch, unless another task just did."""
        try:
            async with asyncio.timeout(None if deadline is None else max(0.0, deadline - time.monotonic())):
                await self._reading.acquire()
        except TimeoutError:
            raise TimeoutError("another task is waiting for the next event of this consumer") from None
        try:
            return await self._fetch(stream, deadline)
        except OutOfTime:
            raise TimeoutError(
                "no event came within the timeout of poll(); the consumer continues. It follows the journal "
                f"{self.journal.location}"
            ) from None
        finally:
            self._reading.release()

    async def skip_bad_record(self) -> None:
        """Continue after the record whose `UnreadableRecord` was raised; `RuntimeError` if no bad record comes next."""
        async with self._reading:
            await self._skip_bad_record()

    # --- progress ---------------------------------------------------------------------------------------------------

    async def commit(self) -> None:
        """Save the cursor in the checkpoint: the events delivered so far count as processed."""
        if self.checkpoint is None:
            raise RuntimeError("this consumer has no checkpoint to commit to: create it with checkpoint='a-name'")
        stream = self._started("commit")
        cursor = stream.cursor(self._backlog.cursor(stream.settled))
        if not stream.is_marked(cursor):
            cursor = await stream.marked(cursor)
        if not isinstance(self.checkpoint, JournalCheckpoint):
            self.checkpoint.save(cursor)  # the user's transaction makes it durable
        elif cursor != self._committed:
            assert self.session is not None, "created when the checkpoint was loaded"
            await self.session.save(self.journal, cursor)
            self._committed = cursor

    async def _load_checkpoint(self) -> Cursor | None:
        if isinstance(self.checkpoint, JournalCheckpoint):
            self.session = self.checkpoint.session(self.topic)
            return await self.session.load(self.journal)
        return None if self.checkpoint is None else self.checkpoint.load()

    async def statistics(self) -> Statistics:
        """Return the consumer's statistics; reads the journal's end offsets."""
        return await self._statistics()

    # --- callbacks --------------------------------------------------------------------------------------------------

    def set_callback(self, event_cb: Callable[..., object], *args: Any, **kwargs: Any) -> Self:
        """Call and await `event_cb(event, *args, **kwargs)` for each event; see `JournalConsumerBase`."""
        self._callback = checked_callback(event_cb, args, kwargs, in_loop=True)
        if self._stream is not None and (self._delivery is None or self._delivery.finished):
            self._deliver()
        return self

    def _deliver(self) -> None:
        if self._callback is not None:
            self._delivery = _Delivery()
            self._delivery.start(self._call_back(self._delivery))

    async def _call_back(self, delivery: "_Delivery") -> None:
        stream = self._started("set_callback")
        try:
            while await self._call_with_pending(delivery):
                if not await self._refill(stream, None) and not delivery.ending.is_set():
                    await self._call(None)
                    return
        except asyncio.CancelledError:  # the loop ends: not a failure, and the event was handed back
            raise
        except BaseException as error:
            self._failure, delivery.finished = error, True
            await self._call_on_error(error)
            if not isinstance(error, Exception):
                raise

    async def _call_on_error(self, error: BaseException) -> None:
        if self._on_error is not None:
            answer = self._on_error(error)
            if inspect.isawaitable(answer):
                await answer

    async def _call_with_pending(self, delivery: "_Delivery") -> bool:
        """Call the callback with the pending events; False if the delivery must end."""
        backlog = self._backlog
        batch, pending = backlog.current
        for event in pending:
            try:
                handed_out = await self._hand_out(event, delivery)
            except BaseException:
                backlog.hand_back(batch, [event])
                raise
            if not handed_out:
                backlog.hand_back(batch, [event])
            if delivery.ending.is_set():
                return False
        return not delivery.ending.is_set()

    async def _hand_out(self, event: JournalEventBase, delivery: "_Delivery") -> bool:
        """Call the callback with an event, retry, then park the event; False if the delivery ended in between."""
        parking = self._parking
        if parking is None:
            await self._call(event)
            return True
        waits = parking.waits()
        while True:
            try:
                await self._call(event)
            except Exception as error:
                if not parking.can_park(event, error):
                    raise
                if delivery.ending.is_set():  # closed or restarted in the callback: this stream must not park it
                    return False
                wait = next(waits, None)
                if wait is None:
                    await self._park(parking, event, error)
                    return True
            else:
                return True
            if await delivery.ends_within(wait):
                return False

    async def _park(self, parking: Parking, event: JournalEventBase, error: Exception) -> None:
        session = self.session
        assert session is not None, "parking needs a checkpoint stored in the journal"
        stream = self._started("set_callback")
        cursor = stream.cursor(self._backlog.cursor(stream.settled))
        try:
            if not stream.is_marked(cursor):
                cursor = await stream.marked(cursor)
            await parking.park(self.journal, session, cursor, event, error)
        except Exception as cause:
            raise error from cause
        self._committed = cursor
        log_parked(session.name, event, error, parking.attempts)

    async def _call(self, event: JournalEventBase | None) -> None:
        assert self._callback is not None, "it is set before the task starts"
        await self._callback.call_and_await(event)

    def _raise_delivery_error(self) -> None:
        error, self._failure = self._failure, None
        if error is not None:
            raise error

    # --- with -------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        return self if self._stream is not None else await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._abandon()
        if error is None:
            self._raise_delivery_error()


class _Delivery:
    """The task that calls the callback with events; it ends soon after `ending` is set."""

    def __init__(self) -> None:
        self.ending = asyncio.Event()
        self.finished = False
        self._task: asyncio.Task[None] | None = None

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Start the task; call after this delivery is stored, as callbacks may replace or restart it."""
        self._task = asyncio.create_task(work, name="journeyman-consumer")
        self._task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self.finished = True
        if not task.cancelled():
            task.exception()  # it is raised by the consumer's own calls

    async def ends_within(self, seconds: float) -> bool:
        """Wait for `seconds` or until it must end; whether it must."""
        try:
            async with asyncio.timeout(seconds):
                return await self.ending.wait()
        except TimeoutError:
            return False

    async def over(self, timeout: float = -1.0) -> bool:
        """Wait for its end, at most `timeout` seconds (negative: for ever); called in the task itself, do not wait."""
        task = self._task
        if task is None or task is asyncio.current_task():
            return True
        await asyncio.wait([task], timeout=finite_or_negative(timeout))
        return task.done()


class AsyncJournalConsumer(PlainEvents, AsyncJournalConsumerBase):
    """Follows a journal from asyncio and delivers its events unchanged; all of them unless a topic is given.

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
        *,
        on_error: OnError = None,
        **options: Unpack[ConsumerOptions],
    ) -> None:
        AsyncJournalConsumerBase.__init__(
            self, journal, topic, cancel_topic, full, since, include_sentinel, on_error=on_error, **options
        )
