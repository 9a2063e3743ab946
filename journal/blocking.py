"""One coroutine for both worlds: awaited in an event loop, or driven to its end in a plain thread.

The embedded logs never wait for anything but a thread's future or a socket, and they wait only through this module. Inside
`run` such a wait blocks the calling thread; anywhere else it suspends on the running loop. So the synchronous journal is
the asynchronous one, driven, and a lone append costs no thread hand-off.
"""

import asyncio
import concurrent.futures
import select
import socket
import threading
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


class _Driven(threading.local):
    """Whether this thread is inside `run`: a synchronous call made from within a running loop must still block."""

    depth = 0


_driven = _Driven()


class _Block:
    """What a coroutine yields to its driver: something to call that blocks and gives the value to go on with."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], Any]) -> None:
        self.call = call

    def __await__(self) -> Generator["_Block", Any, Any]:
        return (yield self)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Drive `coroutine` to its end in this thread and return its value; its waits block the thread."""
    resume, argument = coroutine.send, None
    while True:
        _driven.depth += 1
        try:
            request = resume(argument)
        except StopIteration as stop:
            value: T = stop.value
            return value
        finally:
            _driven.depth -= 1
        try:
            resume, argument = coroutine.send, request.call() if request is not None else None
        except BaseException as error:  # an interrupt, too, belongs to the coroutine that waits
            resume, argument = coroutine.throw, error


async def settled(future: "concurrent.futures.Future[T]", timeout: float | None = None) -> bool:
    """Wait until `future` is done, at most `timeout` seconds; say whether it is."""
    if future.done():
        return True
    if _driven.depth:
        return bool(await _Block(lambda: _blocking_wait(future, timeout)))
    done, _ = await asyncio.wait({asyncio.wrap_future(future)}, timeout=timeout)
    return bool(done)


def _blocking_wait(future: "concurrent.futures.Future[Any]", timeout: float | None) -> bool:
    return bool(concurrent.futures.wait([future], timeout).done)


def _blocking_read_wait(sock: socket.socket, timeout: float | None) -> bool:
    poll = select.poll()  # not select: a process with more than 1,024 open files is a normal web server
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(None if timeout is None else timeout * 1_000))


async def readable(sock: socket.socket, timeout: float | None = None) -> bool:
    """Wait until `sock` has something to read, at most `timeout` seconds; say whether it has."""
    if _driven.depth:
        return bool(await _Block(lambda: _blocking_read_wait(sock, timeout)))
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
