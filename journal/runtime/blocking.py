"""One coroutine for both worlds: awaited in an event loop, or driven to its end in a plain thread.

The embedded logs never wait for anything but a thread's future or a socket, and they wait only through this module.
Inside `run` such a wait blocks the calling thread; anywhere else it suspends on the running loop. So the synchronous
journal is the asynchronous one, driven, and a lone append costs no thread hand-off.
"""

import asyncio
import concurrent.futures
import os
import select
import socket
import threading
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from ..blocked_loops import warn_of_blocked_loop

T = TypeVar("T")


class _Driven(threading.local):
    """Whether this thread is inside `run`: a synchronous call made from within a running loop must still block."""

    depth = 0


_driven = _Driven()


class Interrupt:
    """Ends a wait inside `run` from another thread: the coroutine is cancelled there, as a task of a loop would be.

    One `run` at a time may use it. A request that comes between two waits ends the next one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requested = False
        self._wake: Callable[[], object] | None = None

    def request(self) -> None:
        """End the wait that is going on, or else the next one."""
        with self._lock:
            self._requested = True
            if self._wake is not None:
                self._wake()

    def clear(self) -> None:
        """Forget a request that has been answered."""
        with self._lock:
            self._requested = False

    def check(self) -> None:
        """Raise `CancelledError` if a request is unanswered."""
        if self._requested:
            raise asyncio.CancelledError

    @contextmanager
    def watched(self, wake: Callable[[], object]) -> Iterator[None]:
        """Call `wake` at a request that comes, or has come already."""
        with self._lock:
            self._wake = wake
            if self._requested:
                wake()
        try:
            yield
        finally:
            with self._lock:  # from here on nobody calls `wake`: what it wakes may be closed
                self._wake = None


class _Block:
    """What a coroutine yields to its driver: something to call that blocks and gives the value to go on with."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[Interrupt | None], Any]) -> None:
        self.call = call

    def __await__(self) -> Generator["_Block", Any, Any]:
        return (yield self)


def run(coroutine: Coroutine[Any, Any, T], interrupt: Interrupt | None = None, *, instead: str = "") -> T:
    """Drive `coroutine` to its end in this thread and return its value; its waits block the thread.

    `interrupt` lets another thread end a wait: the coroutine then sees `asyncio.CancelledError` at that point.
    A wait that blocks an event loop is told once; `instead` is what its author should await.
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
                raise  # its own, which has ended it
            # An interrupt belongs to the coroutine that waits, or is about to: it has to clean up now.
            resume, argument = coroutine.throw, error


def is_driven() -> bool:
    """Whether this code runs inside `run`, where waiting blocks the thread."""
    return _driven.depth > 0


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
        except BaseException as error:  # whatever it is, it belongs to the one who waits
            future.set_exception(error)

    threading.Thread(target=work, name="journeyman-wait", daemon=True).start()
    return future


async def settled(future: "concurrent.futures.Future[T]", timeout: float | None = None) -> bool:
    """Wait until `future` is done, at most `timeout` seconds; say whether it is."""
    if future.done():
        return True
    if _driven.depth:
        return bool(await _Block(lambda interrupt: _blocking_wait(future, timeout, interrupt)))
    return await _told(future.add_done_callback, future.done, timeout)


async def _told(
    ask: Callable[[Callable[..., object]], object], is_over: Callable[[], bool], timeout: float | None
) -> bool:
    """Wait in the running loop until who was asked to tell does, at most `timeout` seconds; say whether it is over."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[bool] = loop.create_future()

    def tell(*_: object) -> None:
        with suppress(RuntimeError):  # the loop may be closed by then
            loop.call_soon_threadsafe(_resolve, ready, True)

    # Asked first and looked at afterwards, as who tells does the other way round: one of the two sees the other.
    ask(tell)
    if is_over():
        return True
    timer = loop.call_later(timeout, _resolve, ready, False) if timeout is not None else None
    try:
        return await ready or is_over()
    finally:
        if timer is not None:
            timer.cancel()


class Latch:
    """Something that happens once, and that one coroutine at a time waits for.

    Who sets it never waits, not even for a lock: what the handler of a signal raises in the one who waits, at whatever
    moment, cannot hold up the other. A future's lock could be left taken so, for it is taken in Python.
    """

    __slots__ = ("_lock", "_set", "_tell")

    def __init__(self) -> None:
        self._set = False
        self._lock = threading.Lock()
        self._lock.acquire()
        self._tell: list[Callable[[], object]] = []

    def set(self) -> None:
        """It has happened."""
        self._set = True
        self._wake()
        for tell in self._tell:
            tell()

    def is_set(self) -> bool:
        """Whether it has happened."""
        return self._set

    def _wake(self) -> None:
        with suppress(RuntimeError):  # nobody has waited since the last time
            self._lock.release()

    async def settled(self, timeout: float) -> bool:
        """Wait until it is set, at most `timeout` seconds; say whether it is."""
        if self.is_set():
            return True
        if _driven.depth:
            return bool(await _Block(lambda interrupt: self._wait(timeout, interrupt)))
        return await _told(self._tell.append, self.is_set, timeout)

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
        # Not by `future.exception`: a TimeoutError that a handler of a signal raises is not the end of this wait.
        concurrent.futures.wait([future], timeout)
        return future.done()
    listener: concurrent.futures.Future[None] = concurrent.futures.Future()
    with interrupt.watched(lambda: None if listener.done() else listener.set_result(None)):
        concurrent.futures.wait([future, listener], timeout, concurrent.futures.FIRST_COMPLETED)
    if not future.done():
        interrupt.check()
    return future.done()


def _blocking_read_wait(sock: socket.socket, timeout: float | None, interrupt: Interrupt | None) -> bool:
    poll = select.poll()  # not select: a process with more than 1,024 open files is a normal web server
    poll.register(sock, select.POLLIN)
    milliseconds = None if timeout is None else timeout * 1_000
    if interrupt is None:
        return bool(poll.poll(milliseconds))
    ear, listener = os.pipe()
    try:
        poll.register(ear, select.POLLIN)
        with interrupt.watched(lambda: os.write(listener, b"!")):
            ready = any(ready_fd == sock.fileno() for ready_fd, _ in poll.poll(milliseconds))
    finally:
        os.close(ear)
        os.close(listener)
    if not ready:
        interrupt.check()
    return ready


async def readable(sock: socket.socket, timeout: float | None = None) -> bool:
    """Wait until `sock` has something to read, at most `timeout` seconds; say whether it has."""
    if _driven.depth:
        return bool(await _Block(lambda interrupt: _blocking_read_wait(sock, timeout, interrupt)))
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[bool] = loop.create_future()
    timer = loop.call_later(timeout, _resolve, ready, False) if timeout is not None else None
    loop.add_reader(sock, _resolve, ready, True)
    try:
        return await ready
    finally:
        loop.remove_reader(sock)
        if timer is not None:
            timer.cancel()


def _resolve(ready: "asyncio.Future[bool]", value: bool) -> None:
    if not ready.done():
        ready.set_result(value)
