"""An event loop in virtual time: instead of waiting for a timer it moves the clock.

Time stands still while callbacks run. Once nothing is left to do at a moment, the clock moves to the next timer, up to
a horizon that the caller sets. Sockets and threads are real all the same: what comes from them is waited for.
"""

import asyncio
import math
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import Context
from typing import Any, Final

from ..workers.logs import CURRENT
from .clock import VirtualClock
from .limits import OUTSIDE_SECONDS_MAX, ROUNDING_SECONDS, SOCKET_SECONDS_MAX

Ready = list[tuple[selectors.SelectorKey, int]]

_OWN_SOCKETS: Final = 1  # by which other threads wake the loop


class _Selector(selectors.DefaultSelector):
    """Reports what has come from the outside; where nothing has, `quiet(timeout)` decides."""

    quiet: Callable[[float | None], Ready]

    def select(self, timeout: float | None = None) -> Ready:
        ready = self.wait(0.0)
        return ready if ready or timeout == 0 else self.quiet(timeout)

    def wait(self, seconds: float) -> Ready:
        """Wait for the outside, in real seconds."""
        return super().select(seconds)


class VirtualLoop(asyncio.SelectorEventLoop):
    """`busy()` says whether coroutines of tasks run: their time passes also where the horizon is the present.

    To be run within `apart_from_running_loop`.
    """

    def __init__(self, clock: VirtualClock, busy: Callable[[], bool]) -> None:
        self._outside = _Selector()
        super().__init__(self._outside)
        self._outside.quiet = self._quiet
        self._virtual = clock
        self._busy = busy
        self._horizon: float | None = None
        self._threads = 0  # calls in executors that have not ended
        self._timers: list[asyncio.TimerHandle] = []  # of tasks, such as those of `asyncio.sleep`
        self._heard_at = 0.0  # real: when something came from the outside, or the loop began to run

    def run_to(self, horizon: float | None) -> None:
        """Run until `stop`, or until nothing is left to do up to that monotonic moment; None for the present one."""
        self._horizon = horizon
        self._heard_at = time.monotonic()
        self.run_forever()

    def run_out(self, last: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine to its end, as far as the clock has to move for it."""
        self._horizon = math.inf
        ending = self.create_task(last)
        ending.add_done_callback(lambda _: self.stop())
        while not ending.done():  # it may be stopped by a task as well
            self.run_forever()
        ending.result()

    def time(self) -> float:
        """See `asyncio`: the virtual clock."""
        return self._virtual.monotonic()

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """See `asyncio`."""
        handle = super().call_at(when, callback, *args, context=context)
        if CURRENT.get() is not None:
            self._timers.append(handle)
        return handle

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        """See `asyncio`."""
        future = super().run_in_executor(executor, func, *args)
        self._threads += 1
        future.add_done_callback(self._thread_ended)
        return future

    def _thread_ended(self, _: object) -> None:
        self._threads -= 1

    def _quiet(self, timeout: float | None) -> Ready:
        """Nothing is left to do at this moment: wait for the outside, or move the clock, or stop at the horizon."""
        patience = self._patience()
        if patience > 0.0:
            begun = time.monotonic()
            ready = self._outside.wait(min(patience, math.inf if timeout is None else timeout))
            now = time.monotonic()
            self._virtual.move_by(now - begun)
            self._heard_at = now if ready else self._heard_at
            return ready
        now = self.time()
        horizon = now if self._horizon is None else self._horizon
        if timeout is not None and (now + timeout <= horizon + ROUNDING_SECONDS or self._passes()):
            self._virtual.move_to(now + timeout)
        else:
            self._virtual.move_to(horizon)
            self.stop()
        return []

    def _passes(self) -> bool:
        """Return whether time passes beyond the present, for the coroutines that run."""
        return self._horizon is None and self._busy()

    def _patience(self) -> float:
        """Return how long, in real seconds, something may be expected from the outside."""
        if self._threads:
            return OUTSIDE_SECONDS_MAX
        if not self._busy():
            return 0.0
        now = self.time()
        self._timers = [timer for timer in self._timers if timer.when() > now and not timer.cancelled()]
        sockets = len(self._outside.get_map()) > _OWN_SOCKETS
        if self._timers and not sockets:
            return 0.0  # they sleep
        seconds = SOCKET_SECONDS_MAX if sockets and not self._timers else OUTSIDE_SECONDS_MAX
        return self._heard_at + seconds - time.monotonic()


@contextmanager
def apart_from_running_loop() -> Iterator[None]:
    """Let another event loop run in this thread, beneath the one that runs here already, which stands still meanwhile.

    So a test that is a coroutine calls the workbench as any other test does.
    """
    outer = asyncio._get_running_loop()  # noqa: SLF001 - meant for those who implement event loops, as the next one
    if outer is None:
        yield
        return
    swap = getattr(asyncio.tasks, "_swap_current_task", None)  # from Python 3.12 on
    task = asyncio.current_task()
    if swap is not None:
        swap(outer, None)
    asyncio._set_running_loop(None)  # noqa: SLF001
    try:
        yield
    finally:
        asyncio._set_running_loop(outer)  # noqa: SLF001
        if swap is not None:
            swap(outer, task)
