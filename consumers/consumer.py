"""`JournalConsumerBase`: follow a journal from synchronous code."""

import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Final, Self, TypeVar, Unpack

from ..journal.cursor import Cursor
from ..journal.deadlines import deadline_of, finite_or_negative
from ..journal.journal import Journal
from ..journal.limits import PAGE_EVENTS
from ..journal.runtime import blocking
from .callbacks import Callback, checked_callback
from .checkpoint import JournalCheckpoint
from .consumer_state import ConsumerState
from .engine.buffer import Buffer
from .engine.delivery import Delivery
from .engine.reader import OutOfTime
from .engine.stream import Stream
from .event import JournalEventBase
from .moments import Moment
from .options import ConsumerOptions, PlainEvents
from .parking import OnError, Parking, checked_parking, log_parked
from .statistics import Statistics

T = TypeVar("T")


# The class that warnings recommend to asynchronous code.
_INSTEAD: Final = "AsyncJournalConsumer"


class JournalConsumerBase(ConsumerState):
    """Follows the events of `topic`: history in time order, then live events, until it is stopped.

    `start()`, then take events from `poll()`, by iterating, or in a callback (`set_callback`). After `stop()` all
    events already in the journal are still delivered; then `poll()` returns None.

    - `journal`: a `Journal`.
    - `topic`: a dotted prefix of names: ``task`` covers ``task.claimed``, never ``tasks.added``; ``""`` covers all.
    - `cancel_topic`: passed to the response source when the consumer has finished with it; ``<topic>-cancel`` if None.
    - `full`: whether history comes first. Without it: only events appended after `start()`, and no sentinel.
    - `since`: leave out events whose timestamp is not later; 0 leaves out nothing. A time in seconds since the epoch, a
      `datetime` with its zone, a `timedelta` before now, or a text such as ``10m`` or ``2026-11-21T09:00Z``. The
      journal is read from that moment on, less `CLOCK_SKEW_SECONDS_MAX`: events of a writer whose clock is that far
      ahead are not missed.
    - `include_sentinel`: deliver `SENTINEL_EVENT` once, between history and live events.
    - `on_error`: what happens when a callback fails. "raise" (the default): the delivery ends, as described below.
      A callable: the same, and it is called with the error, in the thread of the callbacks. "park": the callback is
      tried `attempts` times, then the event is parked under the name of the checkpoint and the consumer continues;
      `journeyman consumers parked` shows it, and `replay` delivers it again.
    - `cursor`, `checkpoint`, `until`, `key`, `where`: see `ConsumerOptions`.

    History is merged over partitions by the rule in `consumers.engine.merge`; live events come in the journal's order,
    each partition in its own order. Pages are read on demand only (back-pressure): a consumer holds at most
    `CONSUMER_EVENTS_MAX` undelivered events.

    Callbacks run in the consumer's own thread, one at a time. An exception in a callback, or in the journal below, ends
    the delivery: `on_error` is called with it, and the next `poll()`, `stop()`, `join()` or `close()` raises it, once.
    The event whose callback failed counts as not delivered and stays first in line: `poll()` returns it, or
    `set_callback()` continues with it. Events are never dropped.

    A subclass for its own topic implements `create_event` and `process_response`, and serves responses with additional
    data through `response_source`. Threads may share a consumer; each event goes to one of them.
    """

    def __init__(
        self,
        journal: Journal,
        topic: str,
        cancel_topic: str | None = None,
        full: bool = True,
        since: Moment = 0.0,
        include_sentinel: bool = False,
        *,
        on_error: OnError = None,
        **options: Unpack[ConsumerOptions],
    ) -> None:
        if not isinstance(journal, Journal):
            raise TypeError(
                f"{type(self).__name__} follows a Journal, got {type(journal).__name__}; "
                "for an AsyncJournal there is AsyncJournalConsumer"
            )
        super().__init__(topic, cancel_topic, full, since, include_sentinel, **options)
        self.journal = journal
        self._backlog = Buffer()
        self._interrupt: blocking.Interrupt | None = None
        self._reading = threading.RLock()  # knows its owner even if a signal handler raises during acquire()
        self._delivery: Delivery | None = None
        self._callback: Callback | None = None
        self._parking, self._on_error = checked_parking(on_error, self.attempts, self.checkpoint, "consumer")
        self._failure: BaseException | None = None

    # --- starting and stopping --------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start the stream of events, and return this consumer.

        A second `start()` restarts with the constructor's options, at the checkpoint if there is one: undelivered
        events of the old stream are dropped; history, one sentinel and live events follow.
        """
        self._abandon()
        needs_loop = self.journal.asynchronous.log.needs_loop
        self._interrupt = None if needs_loop else blocking.Interrupt()
        stream = Stream(self.journal.asynchronous, self, self._interrupt)
        self._committed = resume = self._load_checkpoint()
        self.journal.run(stream.open(resume))
        self._begin_stream(stream)
        self._failure = None
        self._deliver()
        return self

    def stop(self) -> None:
        """Request the end: events already in the journal are still delivered, then None. Returns at once.

        Raises `RuntimeError` before `start()`, and an error that has ended the delivery to callbacks.
        """
        self.journal.run(self._started("stop").request_stop())
        self._raise_delivery_error()

    def join(self, timeout: float = -1.0) -> None:
        """Wait until the callback has received the final None, at most `timeout` seconds (negative: for ever).

        Raises the error that ended their delivery, and `TimeoutError`.
        """
        if self._delivery is not None and not self._delivery.join(timeout):
            raise TimeoutError(f"the callbacks were not through after {timeout:g} s; has stop() been called?")
        self._raise_delivery_error()

    def close(self) -> None:
        """End at once: nothing more is delivered, not even None to callbacks; `poll()` returns None.

        Waits for a running callback. Raises an error that has ended the delivery to callbacks.
        """
        self._abandon()
        self._raise_delivery_error()

    def _abandon(self) -> None:
        stream, delivery = self._stream, self._delivery
        if stream is None:
            return
        if delivery is not None:
            delivery.end_soon()  # first: an abandoned stream has not reached its end, so no None
        self._ended = True
        self.journal.run(stream.abandon())
        self._backlog.drop()
        if delivery is not None:
            delivery.end()
        with self._reading:
            self._backlog.drop()
            self.journal.run(stream.aclose())

    # --- taking events ----------------------------------------------------------------------------------------------

    def poll(self, timeout: float = -1.0) -> JournalEventBase | None:
        """Return the next event; None at the end of the stream, and at every later call.

        Waits at most `timeout` seconds in total, even if events arrive that are filtered out; with 0 it does not wait,
        negative waits for ever. Raises `TimeoutError` after that, `RuntimeError` before `start()`.
        """
        if self._failure is None:
            for event in self._backlog.pending:
                return event
        deadline = deadline_of(finite_or_negative(timeout))
        while self._more(deadline):
            for event in self._backlog.pending:
                return event
        return None

    def poll_batch(self, max_events: int = PAGE_EVENTS, timeout: float = -1.0) -> list[JournalEventBase]:
        """Return the next available events, at least one and at most `max_events`; an empty list at the end.

        Waits for the first as `poll` does.
        """
        if max_events < 1:
            raise ValueError(f"a batch has at least one event, got max_events={max_events}")
        deadline = deadline_of(finite_or_negative(timeout))
        self._raise_delivery_error()
        taken: list[JournalEventBase] = []
        while not taken and (self._backlog.left or self._more(deadline)):
            taken = self._backlog.take(max_events)
        return taken

    def __iter__(self) -> Iterator[JournalEventBase]:
        """Iterate over the events up to the end of the stream; starts the consumer if necessary."""
        if self._stream is None:
            self.start()
        while True:
            yield from self._backlog.pending
            if not self._more(None):
                return

    def _more(self, deadline: float | None) -> bool:
        """Ensure that events are pending; False at the end of the stream."""
        self._raise_delivery_error()
        return self._refill(self._started("poll"), deadline)

    def _refill(self, stream: Stream, deadline: float | None) -> bool:
        """Fetch the next batch, unless another thread just did."""
        patience = -1.0 if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            if not self._reading.acquire(timeout=patience):
                raise TimeoutError("another thread is waiting for the next event of this consumer")
            return self._run(self._fetch(stream, deadline))
        except OutOfTime:
            raise TimeoutError(
                "no event came within the timeout of poll(); the consumer continues. It follows the journal "
                f"{self.journal.location}"
            ) from None
        finally:
            try:  # noqa: SIM105 - a call before the release is where a signal handler could raise
                self._reading.release()
            except RuntimeError:  # it was not acquired
                pass

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine of the stream; a stop from another thread ends its waits."""
        if self._interrupt is None:
            return self.journal.run(coroutine, instead=_INSTEAD)
        return blocking.run(coroutine, self._interrupt, instead=_INSTEAD)

    def skip_bad_record(self) -> None:
        """Continue after the record whose `UnreadableRecord` was raised; callbacks resume with `set_callback()`.

        `RuntimeError` if no bad record comes next.
        """
        with self._reading:
            self.journal.run(self._skip_bad_record())

    # --- progress ---------------------------------------------------------------------------------------------------

    def commit(self) -> None:
        """Save the cursor in the checkpoint: the events delivered so far count as processed.

        In a callback this includes the callback's own event. If the journal stores the checkpoint, a commit without
        progress appends nothing.
        """
        if self.checkpoint is None:
            raise RuntimeError("this consumer has no checkpoint to commit to: create it with checkpoint='a-name'")
        stream = self._started("commit")
        cursor = stream.cursor(self._backlog.cursor(stream.settled))
        if not stream.is_marked(cursor):
            cursor = self.journal.run(stream.marked(cursor))
        if not isinstance(self.checkpoint, JournalCheckpoint):
            self.checkpoint.save(cursor)  # the user's transaction makes it durable
        elif cursor != self._committed:
            assert self.session is not None, "created when the checkpoint was loaded"
            self.journal.run(self.session.save(self.journal.asynchronous, cursor))
            self._committed = cursor

    def _load_checkpoint(self) -> Cursor | None:
        if isinstance(self.checkpoint, JournalCheckpoint):
            self.session = self.checkpoint.session(self.topic)
            return self.journal.run(self.session.load(self.journal.asynchronous))
        return None if self.checkpoint is None else self.checkpoint.load()

    def statistics(self) -> Statistics:
        """Return the consumer's statistics; reads the journal's end offsets."""
        self._started("statistics")
        return self.journal.run(self._statistics())

    # --- callbacks --------------------------------------------------------------------------------------------------

    def set_callback(self, event_cb: Callable[..., object], *args: Any, **kwargs: Any) -> Self:
        """Call `event_cb(event, *args, **kwargs)` for each event from now on; return this consumer.

        May be called before `start()` or after; a new callback replaces the old one from the next event on. The last
        call is with None, once the stream has ended. A coroutine function is refused: use `AsyncJournalConsumer`.
        """
        self._callback = checked_callback(event_cb, args, kwargs, in_loop=False)
        if self._stream is not None and (self._delivery is None or self._delivery.finished):
            self._deliver()
        return self

    def _deliver(self) -> None:
        if self._callback is not None:
            self._delivery = Delivery(f"journeyman-consumer-{self.topic or 'all'}", self._call_back)
            self._delivery.start()

    def _call_back(self, delivery: Delivery) -> None:
        stream = self._started("set_callback")
        try:
            while self._call_with_pending(delivery):
                if not self._refill(stream, None) and not delivery.ending:
                    self._call(None)
                    return
        except BaseException as error:
            self._failure, delivery.finished = error, True
            if self._on_error is not None:
                self._on_error(error)

    def _call_with_pending(self, delivery: Delivery) -> bool:
        """Call the callback with the pending events; False if the delivery must end."""
        backlog = self._backlog
        batch, pending = backlog.current
        for event in pending:
            try:
                handed_out = self._hand_out(event, delivery)
            except BaseException:
                backlog.hand_back(batch, [event])
                raise
            if not handed_out:
                backlog.hand_back(batch, [event])
            if delivery.ending:
                return False
        return not delivery.ending

    def _hand_out(self, event: JournalEventBase, delivery: Delivery) -> bool:
        """Call the callback with an event, retry, then park the event; False if the delivery ended in between."""
        parking = self._parking
        if parking is None:
            self._call(event)
            return True
        waits = parking.waits()
        while True:
            try:
                self._call(event)
            except Exception as error:
                if not parking.can_park(event, error):
                    raise
                if delivery.ending:  # closed or restarted in the callback: this stream must not park it
                    return False
                wait = next(waits, None)
                if wait is None:
                    self._park(parking, event, error)
                    return True
            else:
                return True
            if delivery.ends_within(wait):
                return False

    def _park(self, parking: Parking, event: JournalEventBase, error: Exception) -> None:
        session = self.session
        assert session is not None, "parking needs a checkpoint stored in the journal"
        stream = self._started("set_callback")
        cursor = stream.cursor(self._backlog.cursor(stream.settled))
        try:
            if not stream.is_marked(cursor):
                cursor = self.journal.run(stream.marked(cursor))
            self.journal.run(parking.park(self.journal.asynchronous, session, cursor, event, error))
        except Exception as cause:
            raise error from cause
        self._committed = cursor
        log_parked(session.name, event, error, parking.attempts)

    def _call(self, event: JournalEventBase | None) -> None:
        assert self._callback is not None, "it is set before the thread starts"
        self._callback.call(event)

    def _raise_delivery_error(self) -> None:
        error, self._failure = self._failure, None
        if error is not None:
            raise error

    # --- with -------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self if self._stream is not None else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._abandon()
        if error is None:
            self._raise_delivery_error()


class JournalConsumer(PlainEvents, JournalConsumerBase):
    """Follows a journal and delivers its events as `JournalEventBase`; all of them unless a topic is given.

    See `JournalConsumerBase` for the options and the methods.
    """

    def __init__(
        self,
        journal: Journal,
        topic: str = "",
        cancel_topic: str | None = None,
        full: bool = True,
        since: Moment = 0.0,
        include_sentinel: bool = False,
        *,
        on_error: OnError = None,
        **options: Unpack[ConsumerOptions],
    ) -> None:
        JournalConsumerBase.__init__(
            self, journal, topic, cancel_topic, full, since, include_sentinel, on_error=on_error, **options
        )
