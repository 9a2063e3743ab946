"""Runs an event loop in a separate thread, for synchronous callers of logs that need a loop."""

import asyncio
import concurrent.futures
import contextlib
import ctypes
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic, TypeVar

from ..errors import JournalClosed

T = TypeVar("T")


class _Owed(threading.local):
    """An interrupt that came when this thread's wait had already ended: it is raised at its next wait."""

    interrupt: BaseException | None = None


_owed: Final = _Owed()


def _raise_owed() -> None:
    interrupt, _owed.interrupt = _owed.interrupt, None
    if interrupt is not None:
        raise interrupt


class Call(Generic[T]):
    """A coroutine that runs on a portal's loop; `ended` is set when it has returned, failed or been cancelled.

    `on_end` is called then as well, in the loop's thread.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T], on_end: Callable[[], object] = lambda: None) -> None:
        self.ended = threading.Event()
        self._on_end = on_end
        self._coroutine = coroutine
        self._task: asyncio.Task[T] | None = None

    def begin(self) -> None:
        """Run it; called on the loop."""
        self._task = asyncio.get_running_loop().create_task(self._coroutine)
        self._task.add_done_callback(lambda _: self._end())

    def _end(self) -> None:
        self.ended.set()
        self._on_end()

    def cancel(self) -> None:
        """Cancel it; called on the loop. A coroutine that has not begun never runs."""
        if self._task is not None:
            self._task.cancel()
        else:
            self._coroutine.close()
            self._end()

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._task is None or self._task.cancelled()

    def outcome(self) -> T:
        """Return its value, or raise its error; to be called once it has ended."""
        if self._task is None or self._task.cancelled():
            raise concurrent.futures.CancelledError
        return self._task.result()


class Portal:
    """An event loop in a daemon thread; `run` hands it a coroutine and waits for the value."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="journeyman-loop", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` on the loop and return its value; an interrupt of the waiting thread cancels it.

        The interrupt is raised once the coroutine has ended, so that it does not continue in the background; a second
        interrupt does not wait for that. If the coroutine ends with a value all the same, the value is returned, and
        the interrupt is raised at this thread's next wait.
        """
        call = Call(coroutine)
        try:
            self.start(call)
            _raise_owed()
            call.ended.wait()
        except BaseException as interrupt:
            self._cancel(call)
            call.ended.wait()
            if call.cancelled:
                raise
            _owed.interrupt = interrupt
        return call.outcome()

    async def run_async(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` on this portal's loop and await its value in another loop, without blocking that one.

        A cancellation cancels the coroutine and is raised once that has ended; a second one does not wait for it.
        """
        if threading.current_thread() is self._thread:
            return await coroutine
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def on_end() -> None:
            with contextlib.suppress(RuntimeError):  # the waiting loop may be closed by then
                loop.call_soon_threadsafe(ended.set)

        call = Call(coroutine, on_end)
        self.start(call)
        try:
            await ended.wait()
        except asyncio.CancelledError:
            self._cancel(call)
            await ended.wait()
            raise
        if call.cancelled:
            raise JournalClosed("the journal was closed while a call was running; open it again to continue")
        return call.outcome()

    def start(self, call: Call[Any]) -> None:
        """Start a call on the loop, without waiting."""
        with self._lock:  # a call that begins before the loop is stopped runs to its end there
            if self._closed:
                call.cancel()
                raise JournalClosed("the journal is closed; open it again to continue")
            self._loop.call_soon_threadsafe(call.begin)

    def _cancel(self, call: Call[Any]) -> None:
        try:
            self._loop.call_soon_threadsafe(call.cancel)
        except RuntimeError:  # the loop is closed, and all calls that had begun there have ended
            call.cancel()

    def close(self, timeout: float | None = None) -> None:
        """Cancel the running calls, and stop the loop and its thread.

        With a `timeout`, as at the program's end, wait at most so many seconds, then abandon the thread.
        """
        with self._lock:
            if not self._closed:
                self._closed = True
                self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout)
        if self._thread.is_alive():
            keep_for_ever(self)

    def _serve(self) -> None:
        loop = self._loop
        try:
            while not self._closed:
                # An exception that ends programs also ends the loop; restart it: the coroutine's caller gets the error.
                with contextlib.suppress(KeyboardInterrupt, SystemExit):
                    loop.run_forever()
            loop.run_until_complete(_cancel_the_rest())
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()


async def _cancel_the_rest() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


def keep_for_ever(*things: object) -> None:
    """Prevent the garbage collection of these objects and their references, also at the interpreter's end.

    A client or a coroutine that is collected while it runs would be resumed once more, to be closed.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(things))
