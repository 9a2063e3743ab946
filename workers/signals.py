"""Handle the signals that stop a worker, and force its exit when it does not end in time.

The handlers are set by `signal.signal`, not by the event loop, and a thread of its own waits to force the exit. So a
coroutine that blocks the loop delays neither the effect of a second signal nor the forced exit.

The handlers belong to the worker and its children: in processes that a task forks or starts, signals keep their usual
effect.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, Self

from ..journal.runtime.forks import at_fork
from .limits import SIGNAL_ECHO_SECONDS

logger = logging.getLogger("journeyman.worker")

EXIT_AT_ONCE: Final = 130
EXIT_IN_VAIN: Final = 1
_DEFAULTS: Final[dict[signal.Signals, Any]] = {
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGINT: signal.default_int_handler,
}


def ignore_signals() -> None:
    """Ignore SIGTERM and SIGINT. Not by `SIG_IGN`, which programs that this process starts would inherit."""
    for number in _DEFAULTS:
        signal.signal(number, _Own(lambda *_: None))
        signal.siginterrupt(number, False)  # a library in C may not retry interrupted system calls


class _Own:
    """A handler for this process alone; in a process forked from it the signal has its usual effect."""

    def __init__(self, handler: Callable[[int, object], None]) -> None:
        self._handler = handler

    def __call__(self, number: int, frame: object) -> None:
        self._handler(number, frame)


_forking: Final = threading.local()


def _owned() -> list[signal.Signals]:
    return [number for number in _DEFAULTS if isinstance(signal.getsignal(number), _Own)]


def _before_fork() -> None:
    # A signal that arrives before the child has the usual handlers would be lost there, so block it until then. Here
    # it is delivered afterwards.
    _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _owned())


def _after_fork() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


def _after_fork_in_child() -> None:
    try:
        for number in _owned():
            signal.signal(number, _DEFAULTS[number])
    finally:
        _after_fork()


at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)


class Signals:
    """Handles SIGTERM and SIGINT inside the `with` block, in the main thread; in other threads it does nothing.

    The first signal begins the stop, a second one ends the process at once with 130. One within `SIGNAL_ECHO_SECONDS`
    of the first counts as the same: a terminal signals a whole group, and a wrapper passes the signal on.
    """

    def __init__(self) -> None:
        self._received_at: float | None = None
        self._begin: Callable[[], None] | None = None
        self._before: dict[int, Any] = {}
        self._orders: SimpleQueue[float | None] = SimpleQueue()  # safe to use in a handler, unlike locks and events
        self._patience_seconds = 0.0

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, _Own(self._on_signal)) for number in _DEFAULTS}
        return self

    def __exit__(self, *_: object) -> None:
        self._orders.put(None)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def answer(self, begin: Callable[[], None], patience_seconds: float, unwritten: Callable[[], str]) -> None:
        """Have the first signal call `begin()`, at any point of the main thread; do so now if it has come already.

        If the `with` block has not been left `patience_seconds` later, the process logs `unwritten()` and ends with 1.
        """
        if not self._before:
            return
        self._patience_seconds = patience_seconds
        threading.Thread(target=self._watch, args=[unwritten], name="journeyman-patience", daemon=True).start()
        self._begin = begin
        if self._received_at is not None:
            self._start()

    def _on_signal(self, _number: int, _frame: object) -> None:
        if self._received_at is None:
            self._received_at = time.monotonic()
            self._start()
        elif time.monotonic() - self._received_at > SIGNAL_ECHO_SECONDS:
            os._exit(EXIT_AT_ONCE)

    def _start(self) -> None:
        begin, self._begin = self._begin, None
        if begin is not None:
            self._orders.put(self._patience_seconds)
            with suppress(RuntimeError):  # the loop is closed: it is at its end already
                begin()

    def _watch(self, unwritten: Callable[[], str]) -> None:
        patience = self._orders.get()
        if patience is None:
            return
        with suppress(Empty):
            self._orders.get(timeout=patience)
            return
        with suppress(Exception):  # `unwritten` reads the state of a loop that may still run
            logger.error("the worker has not ended %g s after it was stopped: %s", patience, unwritten())
        os._exit(EXIT_IN_VAIN)
