"""The event loop of a simulated process: its time is the world's, and it stands still when the process does."""

import asyncio
import contextvars
import socket
import warnings
from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from .stage import Member

# A timer that is due is late by so many seconds, as in a real process: time passes whatever a process does.
TIMER_SECONDS_MIN: Final = 0.000_5
# More callbacks at one moment than any loop has that comes to rest.
CALLBACKS_MAX: Final = 20_000


class ProcessLoop:
    """Runs the coroutines of one process in the world's time, one callback after the other.

    `clock_offset` is by how many seconds its monotonic clock is ahead of the world's: those of two machines differ.
    """

    def __init__(self, worker: "Member", clock_offset: float) -> None:
        self.worker, self.world = worker, worker.world
        self.clock_offset = clock_offset
        self.ended = False
        self.stopped_until = 0.0
        self._ready: deque[asyncio.Handle] = deque()
        self._run_due = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._readers: dict[Any, Callable[[], object]] = {}
        self._self = cast("asyncio.AbstractEventLoop", self)  # as much of one as the product's loop asks for

    # -- the process -------------------------------------------------------------------------------------------------

    @property
    def stopped(self) -> bool:
        """Whether the process stands still, as after SIGSTOP."""
        return self.world.now < self.stopped_until

    def stop_until(self, moment: float) -> None:
        """Stand still until that moment of the world; what was due meanwhile happens then."""
        self.stopped_until = max(self.stopped_until, moment)
        self.world.after(self.stopped_until - self.world.now, self._run)

    def go_on(self) -> None:
        """Stand still no more."""
        self.stopped_until = self.world.now
        self.world.after(0.0, self._run)

    def end(self) -> None:
        """Let go of all that is suspended, without running what the end of a process does not run."""
        self.ended, self.stopped_until = True, 0.0
        with warnings.catch_warnings():  # of coroutines that had not begun
            warnings.simplefilter("ignore", RuntimeWarning)
            for task in list(self._tasks):
                task.cancel()
            self._turn()
            self._tasks.clear()

    def _schedule(self) -> None:
        if not self._run_due and not self.ended:
            self._run_due = True
            self.world.after(max(0.0, self.stopped_until - self.world.now), self._run)

    def _run(self) -> None:
        self._run_due = False
        if self.ended or not self._ready:
            return
        if not self.stopped:
            self._turn()
        if self._ready:
            self._schedule()

    def _turn(self) -> None:
        """Call what is ready, and what becomes ready by it, at this one moment of the world."""
        asyncio._set_running_loop(self._self)
        self.world.running, ended = self.worker, self.ended
        try:
            for _ in range(CALLBACKS_MAX):
                if not self._ready or (self.ended and not ended) or self.stopped:
                    return
                handle = self._ready.popleft()
                if not handle._cancelled:
                    handle._run()
            self.worker.failed("it is busy without end at one moment")
        finally:
            asyncio._set_running_loop(None)

    def happen(self, callback: Callable[..., object], *args: Any) -> None:
        """Something has come from outside: the process sees it now, or when it goes on."""
        self._ready.append(asyncio.Handle(callback, args, self._self))
        self._run()

    # -- what coroutines ask of a loop -------------------------------------------------------------------------------

    def time(self) -> float:
        """The monotonic clock of the process, in seconds."""
        return self.world.now + self.clock_offset

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """See `asyncio`."""
        handle = asyncio.Handle(callback, args, self._self, context)
        self._ready.append(handle)
        self._schedule()
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """See `asyncio`."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """See `asyncio`."""
        handle = asyncio.TimerHandle(when, callback, args, self._self, context)

        def due() -> None:
            if not handle.cancelled():
                self._ready.append(handle)
                self._run()

        self.world.after(max(when - self.time(), TIMER_SECONDS_MIN), due)
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Nothing to do: when it is due, it is seen to be cancelled."""

    def create_future(self) -> "asyncio.Future[Any]":
        """See `asyncio`."""
        return asyncio.Future(loop=self._self)

    def create_task(
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: contextvars.Context | None = None
    ) -> "asyncio.Task[Any]":
        """See `asyncio`."""
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self._self, name=name, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def run_in_executor(self, executor: object, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":
        """Call it at once: what a thread beside the loop does takes no time of the world."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def add_reader(self, fd: Any, callback: Callable[..., object], *args: Any) -> None:
        """Call it whenever `readable` is called with that object."""
        self._readers[fd] = lambda: callback(*args)

    def remove_reader(self, fd: Any) -> bool:
        """See `asyncio`."""
        return self._readers.pop(fd, None) is not None

    def readable(self, fd: "socket.socket | object") -> None:
        """There is something to be read there."""
        if fd in self._readers:
            self.happen(self._readers[fd])

    def get_debug(self) -> bool:
        """See `asyncio`."""
        return False

    def is_running(self) -> bool:
        """See `asyncio`."""
        return not self.ended

    def is_closed(self) -> bool:
        """See `asyncio`."""
        return self.ended

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Report an exception that no code has caught as a fault of the worker."""
        if not self.ended:
            self.worker.failed(f"{context.get('message')}: {context.get('exception')!r}")
