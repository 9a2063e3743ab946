"""Collect tasks, log, count processors, await a stop signal, by the names of the reference task queue (`alsek`)."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable
from queue import Empty
from types import ModuleType
from typing import Any, Final, Self

from ..tasks.definition import Task
from ..tasks.errors import ValidationError
from .limits import SIGNAL_ECHO_SECONDS
from .loading import tasks_by_name, tasks_of_module
from .logs import configure
from .settings import processes_default
from .timed_queue import TimedQueue

_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def collect_tasks(module: str | ModuleType) -> tuple[Task[Any, Any], ...]:
    """Return the tasks of a module, or of a package with its submodules, given as an object or by its name.

    `ValidationError` for anything else. `NoTasksFoundError` if it does not exist or has no tasks,
    `TaskNameCollisionError` if two tasks have one name.
    """
    if not isinstance(module, str | ModuleType):
        raise ValidationError(
            f"tasks are collected from a module, or by its name such as 'shop.tasks', got {module!r:.80}"
        )
    if isinstance(module, ModuleType) and sys.modules.get(module.__name__) is not module:
        return tuple(tasks_of_module(module).values())
    return tuple(tasks_by_name(module.__name__ if isinstance(module, ModuleType) else module).values())


def smart_cpu_count() -> int:
    """Return the number of processors less one, which is left to the main process; at least one."""
    return processes_default()


def get_logger() -> logging.Logger:
    """Return the logger above all those of this package."""
    return logging.getLogger("journeyman")


def setup_logging(level: int | str) -> None:
    """Log this package's records from `level` on, a number or a name of the `logging` module, to stderr.

    The handlers of a program that has set up logging itself are left as they are.
    """
    name = logging.getLevelName(level) if isinstance(level, int) and not isinstance(level, bool) else level
    if not isinstance(name, str) or name.upper() not in logging.getLevelNamesMapping():
        raise ValidationError(f"a level is one of logging's, such as logging.INFO or 'INFO', got {level!r:.80}")
    configure(name.upper())


class StopSignalListener:
    """Listens for signals that ask this process to stop, from its creation until `close` or the end of a `with`.

    The main thread has to create it, as Python delivers signals only there; `ValueError` says so elsewhere. With
    `exit_override` a second signal ends the process at once with the status 1; one within `SIGNAL_ECHO_SECONDS` of the
    first counts as the same.
    """

    def __init__(self, stop_signals: Iterable[int] = _STOP_SIGNALS, exit_override: bool = True) -> None:
        self.stop_signals, self.exit_override = _checked_signals(stop_signals), exit_override
        self._received_at: float | None = None
        self._waiting: TimedQueue[None] = TimedQueue()  # safe to use in a handler, unlike events
        if threading.current_thread() is not threading.main_thread():
            raise ValueError("a StopSignalListener receives signals only if the main thread creates it")
        self._before = {number: signal.signal(number, self._on_signal) for number in self.stop_signals}

    @property
    def received(self) -> bool:
        """Whether a stop signal has come, or `stop` was called."""
        return self._received_at is not None

    def wait(self, timeout: int | None) -> bool:
        """Wait until a stop signal comes, at most `timeout` ms (None: for ever); return whether one has come."""
        if not self.received:
            try:
                self._waiting.get(timeout=None if timeout is None else max(0.0, timeout / 1_000))
            except Empty:
                return self.received
            self._waiting.put(None)  # for other threads that wait
        return True

    def stop(self) -> None:
        """Have `wait` return, as a signal does."""
        if self._received_at is None:
            self._received_at = time.monotonic()
            self._waiting.put(None)

    def close(self) -> None:
        """Put back the handlers that the signals had before."""
        before, self._before = self._before, {}
        for number, handler in before.items():
            signal.signal(number, handler)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _on_signal(self, _number: int, _frame: object) -> None:
        if self._received_at is None:
            self.stop()
        elif self.exit_override and time.monotonic() - self._received_at > SIGNAL_ECHO_SECONDS:
            os._exit(1)


def _checked_signals(numbers: object) -> tuple[int, ...]:
    """Return the signals; `ValidationError` for what is no signal, or one that no process can receive."""
    given = tuple(numbers) if isinstance(numbers, Iterable) else (numbers,)
    refused = [each for each in given if each not in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}]
    if refused or not isinstance(numbers, Iterable):
        raise ValidationError(
            f"stop_signals are signals in a tuple, such as (signal.SIGTERM, signal.SIGINT), other than SIGKILL and "
            f"SIGSTOP, got {numbers!r:.80}"
        )
    return given
