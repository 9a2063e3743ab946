"""Runs a coroutine in an event loop, or drives it to its end in a plain thread.

The embedded logs wait only for a thread's future or a socket, and only through this module. Inside `run` such a wait
blocks the calling thread; anywhere else it suspends on the running loop. So the synchronous journal drives the
asynchronous one, and a lone append costs no hand-over to another thread.
"""

import asyncio
import concurrent.futures
import ctypes
import os
import select
import socket
import threading
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

from ..blocked_loops import warn_of_blocked_loop

T = TypeVar("T")

# The C function, as Python's own holds the interpreter's lock meanwhile. None if the C library has none of that name.
_sched_yield: Final[Callable[[], int] | None] = getattr(ctypes.CDLL(None), "sched_yield", None)


class _Driven(threading.local):
    """Whether this thread is inside `run`: a synchronous call made from within a running loop must still block."""

    depth = 0


_driven = _Driven()


class Interrupt:
    """Ends a wait inside `run` from another thread, by cancelling the coroutine as a loop cancels a task.

    One `run` at a time may use it. A request between two waits ends the next one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requested = False
        self._wake: Callable[[], object] | None = None

    def request(self) -> None:
        """End the current wait, or else the next one."""
        with self._lock:
            self._requested = True
            if self._wake is not None:
                self._wake()

    def clear(self) -> None:
        """Reset a request that was handled."""
        with self._lock:
            self._requested = False

    def check(self) -> None:
        """Raise `CancelledError` if there is an unhandled request."""
        if self._requested:
            raise asyncio.CancelledError

    @contextmanager
    def watched(self, wake: Callable[[], object]) -> Iterator[None]:
        """Call `wake` at a request during the block, or now if there is one."""
        with self._lock:
            self._wake = wake
            if self._requested:
                wake()
        try:
            yield
        finally:
            with self._lock:  # after this `wake` is not called: its target may be closed
                self._wake = None


class _Block:
    """Yielded by a coroutine to its driver: a call that blocks and returns the value to resume with."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[Interrupt | None], Any]) -> None:
        self.call = call

    def __await__(self) -> Generator["_Block", Any, Any]:
        return (yield self)


def run(coroutine: Coroutine[Any, Any, T], interrupt: Interrupt | None = None, *, instead: str = "") -> T:
    """Drive `coroutine` to its end in this thread and return its value; its waits block the thread.

    `interrupt` lets another thread end a wait: the coroutine then sees `asyncio.CancelledError` at that point.
    A wait that blocks an event loop is warned of once; `instead` is what the program should await.
    """
    resume, argument = coroutine.send, None
    while True:
        try:
            while True:
                _driven.depth += 1
                try:
                    request = resume(argument)
                except StopIteration as stop:
                    value: T = stop.value
                    return value
                finally:
                    _driven.depth -= 1
                if request is None:
                    resume, argument = coroutine.send, None
                    continue
                if instead:
                    warn_of_blocked_loop(instead)
                resume, argument = coroutine.send, request.call(interrupt)
        except BaseException as error:
            if coroutine.cr_frame is None:  # type: ignore[attr-defined]  # each coroutine has it
                raise  # the coroutine's own error, which has ended it
            # An interrupt is thrown into the coroutine that waits, or is about to, so that it cleans up.
            resume, argument = coroutine.throw, error


def is_driven() -> bool:
    """Whether this code runs inside `run`, where waiting blocks the thread."""
    return _driven.depth > 0


def give_way() -> None:
    """Let those run that wait for this processor, before a wait for what they do.

    The kernel wakes the reader of a notice on the processor of its writer, whose next steps would delay it.
    """
    if _sched_yield is not None:
        _sched_yield()


async def turn() -> None:
    """Let the loop's other ready tasks go first, once; in a plain thread there are none."""
    if not _driven.depth:
        await asyncio.sleep(0)


def in_thread(call: Callable[[], T]) -> "concurrent.futures.Future[T]":
    """Call it in a daemon thread of its own and return its future: for a wait that may never end."""
    future: concurrent.futures.Future[T] = concurrent.futures.Future()

    def work() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # of any kind: it is raised to the waiter
            future.set_exception(error)

    threading.Thread(target=work, name="journeyman-wait", daemon=True).start()
    return future


async def settled(future: "concurrent.futures.Future[T]", timeout: float | None = None) -> bool:
    """Wait until `future` is done, at most `timeout` seconds; return whether it is."""
    if future.done():
        return True
    if _driven.depth:
        return bool(await _Block(lambda interrupt: _blocking_wait(future, timeout, interrupt)))
    return await _called_back(future.add_done_callback, future.done, timeout)


async def _called_back(
    register: Callable[[Callable[..., object]], object], is_over: Callable[[], bool], timeout: float | None
) -> bool:
    """Wait in the running loop for a registered callback, at most `timeout` seconds; return whether it is over."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[bool] = loop.create_future()

    def callback(*_: object) -> None:
        with suppress(RuntimeError):  # the loop may be closed by then
            loop.call_soon_threadsafe(_resolve, ready, True)

    # Registered first and checked afterwards, as the caller of the callback does the reverse: one sees the other.
    register(callback)
    if is_over():
        return True
    timer = loop.call_later(timeout, _resolve, ready, False) if timeout is not None else None
    try:
        return await ready or is_over()
    finally:
        if timer is not None:
            timer.cancel()


class Latch:
    """A one-time event that one coroutine at a time waits for.

    `set` never waits, not even for a lock: an exception that a signal handler raises in the waiter, at any moment,
    cannot block it. Such an exception could leave a future's lock taken, as that is acquired in Python.
    """

    __slots__ = ("_callbacks", "_lock", "_set")

    def __init__(self) -> None:
        self._set = False
        self._lock = threading.Lock()
        self._lock.acquire()
        self._callbacks: list[Callable[[], object]] = []

    def set(self) -> None:
        """Set the event and wake its waiter."""
        self._set = True
        self._wake()
        for callback in self._callbacks:
            callback()

    def is_set(self) -> bool:
        """Whether the event is set."""
        return self._set

    def _wake(self) -> None:
        with suppress(RuntimeError):  # the lock is free: no coroutine has waited since the last call
            self._lock.release()

    async def settled(self, timeout: float) -> bool:
        """Wait until it is set, at most `timeout` seconds; return whether it is."""
        if self.is_set():
            return True
        if _driven.depth:
            return bool(await _Block(lambda interrupt: self._wait(timeout, interrupt)))
        return await _called_back(self._callbacks.append, self.is_set, timeout)

    def _wait(self, timeout: float, interrupt: Interrupt | None) -> bool:
        seconds = max(0.0, timeout)
        if interrupt is None:
            self._lock.acquire(timeout=seconds)
            return self.is_set()
        with interrupt.watched(self._wake):
            self._lock.acquire(timeout=seconds)
        if not self.is_set():
            interrupt.check()
        return self.is_set()


def _blocking_wait(
    future: "concurrent.futures.Future[Any]", timeout: float | None, interrupt: Interrupt | None
) -> bool:
    if interrupt is None:
        # Not by `future.exception`: a TimeoutError raised by a signal handler is not the end of this wait.
        concurrent.futures.wait([future], timeout)
        return future.done()
    requested: concurrent.futures.Future[None] = concurrent.futures.Future()
    with interrupt.watched(lambda: None if requested.done() else requested.set_result(None)):
        concurrent.futures.wait([future, requested], timeout, concurrent.futures.FIRST_COMPLETED)
    if not future.done():
        interrupt.check()
    return future.done()


def _blocking_read_wait(sock: socket.socket, timeout: float | None, interrupt: Interrupt | None) -> bool:
    poll = select.poll()  # not select: a process with more than 1,024 open files is a normal web server
    poll.register(sock, select.POLLIN)
    milliseconds = None if timeout is None else timeout * 1_000
    if interrupt is None:
        return bool(poll.poll(milliseconds))
    read_end, write_end = os.pipe()
    try:
        poll.register(read_end, select.POLLIN)
        with interrupt.watched(lambda: os.write(write_end, b"!")):
            ready = any(ready_fd == sock.fileno() for ready_fd, _ in poll.poll(milliseconds))
    finally:
        os.close(read_end)
        os.close(write_end)
    if not ready:
        interrupt.check()
    return ready


async def readable(sock: socket.socket, timeout: float | None = None) -> bool:
    """Wait until `sock` is readable, at most `timeout` seconds; return whether it is."""
    if _driven.depth:
        return bool(await _Block(lambda interrupt: _blocking_read_wait(sock, timeout, interrupt)))
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[bool] = loop.create_future()
    timer = loop.call_later(timeout, _resolve, ready, False) if timeout is not None else None
    descriptor = sock.fileno()  # given the socket, the loop describes it in an error each time, by two system calls
    loop.add_reader(descriptor, _resolve, ready, True)
    try:
        return await ready
    finally:
        loop.remove_reader(descriptor)
        if timer is not None:
            timer.cancel()


def _resolve(ready: "asyncio.Future[bool]", value: bool) -> None:
    if not ready.done():
        ready.set_result(value)
