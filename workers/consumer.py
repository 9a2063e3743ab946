"""A stream of claimed messages, for programs that run tasks by a pool of their own.

A keeper thread holds the session: a worker loop that claims one message for each caller that waits for the next, and
renews the lease of what callers hold. Claims, their order, pauses and takeovers are those of every worker.
"""

import asyncio
import logging
import os
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from msgspec.structs import replace

from ..journal.async_journal import AsyncJournal
from ..journal.runtime.exits import at_exit
from ..tasks.backoff import Backoff, LinearBackoff
from ..tasks.broker import AsyncBroker, Broker
from ..tasks.errors import ValidationError
from ..tasks.message import Message
from .executors.hand_over import HandOver, Held
from .limits import CONSUMER_LOOK_MS, FORCED_EXIT_SECONDS
from .loop.hand_over import HandOverLoop
from .settings import Settings, Subset

logger = logging.getLogger("journeyman.worker")

_BACKOFF: Final = LinearBackoff(1_000, floor=1_000, ceiling=30_000, zero_override=False)  # the reference's default


class _Keeper:
    """One session in a thread of its own, begun at once and kept until `close`."""

    def __init__(self, url: str, settings: Settings) -> None:
        self._url, self._settings = url, settings
        self._pid = os.getpid()
        self._guard = threading.Lock()
        self._closing = False
        self._worker_loop: HandOverLoop | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.hand_over = HandOver()
        self._thread = threading.Thread(target=self._run, name="journeyman-consumer", daemon=True)
        self._thread.start()
        _kept.add(self)

    def check_process(self) -> None:
        """Raise `RuntimeError` in a process that was forked from the one that holds the session."""
        if os.getpid() != self._pid:
            raise RuntimeError(
                "this Consumer belongs to the process that made it, and this one was forked from there. Make a "
                "Consumer in each process that reads; to end a message only a Broker is needed"
            )

    def _run(self) -> None:
        try:
            asyncio.run(self._keep())
        except BaseException as error:  # raised where a caller waits for the next message
            logger.warning("the session of a Consumer has ended: %s", error)
            self.hand_over.end(error)
        else:
            self.hand_over.end()

    async def _keep(self) -> None:
        journal = AsyncJournal(self._url)
        worker_loop = HandOverLoop(journal, self._settings, self.hand_over)
        with self._guard:
            self._worker_loop, self._loop = worker_loop, asyncio.get_running_loop()
            closing = self._closing
        try:
            if not closing:
                await worker_loop.run()
        finally:
            with self._guard:
                self._worker_loop = None
            await journal.aclose()

    def leave(self) -> None:
        """End the iterations, and have the session end and what it holds go back; do not wait for that."""
        if os.getpid() != self._pid:
            return  # the session is the parent's
        self.hand_over.end()
        with self._guard:
            self._closing = True
            if self._worker_loop is not None and self._loop is not None:
                with suppress(RuntimeError):  # it has just ended
                    self._loop.call_soon_threadsafe(self._worker_loop.stop)

    def close(self) -> None:
        """Do the same and wait until it is written, at most for a lease: then the claims return by themselves."""
        self.leave()
        if os.getpid() == self._pid and threading.current_thread() is not self._thread:
            self._thread.join(self._settings.lease_seconds + FORCED_EXIT_SECONDS)


_kept: Final["weakref.WeakSet[_Keeper]"] = weakref.WeakSet()


def _close_all() -> None:
    for keeper in list(_kept):
        keeper.leave()
    for keeper in list(_kept):
        keeper.close()


at_exit(_close_all)


class _Stream:
    """One iteration. With `own` the session is its own, and ends when the iterator is closed or no longer used."""

    def __init__(self, keeper: _Keeper, *, own: bool) -> None:
        self._keeper = keeper
        self._own = own
        self._over = False
        if own:
            weakref.finalize(self, keeper.leave).atexit = False  # `_close_all` leaves as well, and waits

    def _ask(self) -> "Future[Held | None] | None":
        """Ask for the next message; None if this iteration is over."""
        self._keeper.check_process()
        return None if self._over else self._keeper.hand_over.ask()

    def _give_up(self, asked: "Future[Held | None]") -> None:
        """Ask no longer; a message that came in that moment goes to the next caller."""
        if not asked.cancel() and asked.exception() is None and (held := asked.result()) is not None:
            self._keeper.hand_over.put_back(held)

    def close(self) -> None:
        """End the iteration; where the session is its own, what it holds goes back before this returns."""
        self._over = True
        if self._own:
            self._keeper.close()


class ClaimedMessages(_Stream, Iterator[Message]):
    """The iterator of `Consumer.stream`; threads may share it. `close` ends it, as leaving the iteration does."""

    def __next__(self) -> Message:
        if (asked := self._ask()) is None:
            raise StopIteration
        try:
            held = asked.result()
        except BaseException:  # an interrupt, or an error of the session
            self._give_up(asked)
            raise
        if held is None:
            raise StopIteration
        return held.message


class AsyncClaimedMessages(_Stream, AsyncIterator[Message]):
    """The iterator of `AsyncConsumer.stream`; coroutines may share it, and stop waiting by being cancelled."""

    async def __anext__(self) -> Message:
        """Return the next message; wait for one."""
        if (asked := self._ask()) is None:
            raise StopAsyncIteration
        try:
            held = await asyncio.wrap_future(asked)
        except asyncio.CancelledError:
            self._give_up(asked)
            raise
        if held is None:
            raise StopAsyncIteration
        return held.message

    async def aclose(self) -> None:
        """End the iteration; where the session is its own, what it holds goes back before this returns."""
        await asyncio.to_thread(self.close)


class _Sessions:
    """What both consumers share: the settings, and the sessions that are open."""

    def __init__(self, url: str, subset: Subset | None, backoff: Backoff | None, settings: Settings | None) -> None:
        if not isinstance(backoff, Backoff | None):
            raise ValidationError(f"backoff is a Backoff, such as LinearBackoff(1000), or None; got {backoff!r:.80}")
        if not isinstance(settings, Settings | None):
            raise ValidationError(f"settings are given as Settings(lease_ms=5_000), for example, got {settings!r:.80}")
        given = settings or Settings()
        if subset is not None and given.queues is not None:
            raise ValidationError("subset and the settings' queues mean the same: give one of them")
        queues = given.queues if subset is None else subset
        self._url = url
        self._settings = replace(given, queues=queues, drain_seconds=0.0, enforce_ms=CONSUMER_LOOK_MS)
        self._open: weakref.WeakSet[_Keeper] = weakref.WeakSet()
        self._entered: _Keeper | None = None

    def _begin(self) -> _Keeper:
        keeper = _Keeper(self._url, self._settings)
        self._open.add(keeper)
        return keeper

    def _enter(self) -> None:
        if self._entered is not None:
            raise RuntimeError("this Consumer is entered already: use it in one `with` at a time")
        self._entered = self._begin()
        weakref.finalize(self, self._entered.leave).atexit = False

    def stop(self) -> None:
        """End all iterations, from any thread or a signal's handler; messages that callers hold stay claimed."""
        for keeper in list(self._open):
            keeper.hand_over.end()

    def holds(self, message: Message) -> bool:
        """Return whether the message is still held here: not ended, not revoked, and not lost with the lease."""
        claim = message.claim
        return claim is not None and any(each.hand_over.holds(message.uuid, claim) for each in list(self._open))

    def _close(self) -> None:
        self._entered = None
        for keeper in list(self._open):
            keeper.leave()
        for keeper in list(self._open):
            keeper.close()


class Consumer(_Sessions):
    """Claims messages for a program that runs them by a pool of its own: `for message in consumer.stream()`.

    - `broker`: names the journal, and ends messages: `broker.ack(message)`, `fail`, `retry`. The message carries its
      `claim`, the fencing token, so a call for one that has been lost meanwhile has no effect and says so.
    - `subset`: the queues in order of preference, or a mapping of queues to the tasks it takes from them; None for all.
    - `backoff`: accepted for compatibility and ignored, since nothing is polled.
    - `settings`: the lease, the order of queues and the ageing of priorities, as for a worker.

    One message is claimed for each `next`, in the order in which a worker would; timeouts are the caller's to watch.
    What is claimed stays claimed, by a lease that a thread renews, until it is ended; or until the iteration is left:
    then it goes back without using up an attempt. In a `with` block the messages stay claimed until its end, so that
    the caller's pool can finish what it has begun. If the process dies, another takes over after the lease.
    """

    def __init__(
        self,
        broker: Broker,
        subset: Subset | None = None,
        backoff: Backoff | None = _BACKOFF,
        *,
        settings: Settings | None = None,
    ) -> None:
        if not isinstance(broker, Broker):
            raise ValidationError(f"a Consumer takes a Broker, got {broker!r:.80}")
        super().__init__(broker.journal.asynchronous.opening_url, subset, backoff, settings)
        self.broker, self.subset, self.backoff = broker, subset, backoff

    def stream(self) -> ClaimedMessages:
        """Return an iterator over messages that it claims, without end; it waits for the next one.

        It ends by `stop` or `close`. `JournalGone` if the journal's file is removed or replaced; `RuntimeError` in a
        forked process.
        """
        return ClaimedMessages(self._entered or self._begin(), own=self._entered is None)

    def close(self) -> None:
        """End all iterations; what is still claimed goes back before this returns, or when the lease is over."""
        self._close()

    def __enter__(self) -> Self:
        self._enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()


class AsyncConsumer(_Sessions):
    """`Consumer` for asyncio: `async for message in consumer.stream()`, and `await broker.ack(message)`.

    `broker` is an `AsyncBroker` or a `Broker`. The session is kept by a thread, so that code which blocks the loop
    loses no lease.
    """

    def __init__(
        self,
        broker: AsyncBroker | Broker,
        subset: Subset | None = None,
        backoff: Backoff | None = _BACKOFF,
        *,
        settings: Settings | None = None,
    ) -> None:
        if not isinstance(broker, AsyncBroker | Broker):
            raise ValidationError(f"an AsyncConsumer takes an AsyncBroker or a Broker, got {broker!r:.80}")
        url = broker.opening_url if isinstance(broker, AsyncBroker) else broker.journal.asynchronous.opening_url
        super().__init__(url, subset, backoff, settings)
        self.broker, self.subset, self.backoff = broker, subset, backoff

    def stream(self) -> AsyncClaimedMessages:
        """See `Consumer.stream`."""
        return AsyncClaimedMessages(self._entered or self._begin(), own=self._entered is None)

    async def aclose(self) -> None:
        """See `Consumer.close`."""
        await asyncio.to_thread(self._close)

    async def __aenter__(self) -> Self:
        self._enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._close)
