"""A clock that only its owner moves, in place of the module `time` in the modules of tasks and workers."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

# Far from 0, which the worker loop takes for "never".
_MONOTONIC_BEGIN: Final = 1_000.0

# A worker lives by the virtual clock. What submits and asks reads the time on the wall from it, since a worker compares
# that with its own; but it waits for other threads, by the real one.
_WORKERS: Final = ("journeyman.workers.loop.", "journeyman.workers.executors.")
_TASKS: Final = ("journeyman.tasks.",)


class VirtualClock:
    """Both clocks of a process in one: `time()` in seconds since the epoch, from `begin` on, and `monotonic()`."""

    def __init__(self, begin: float) -> None:
        self._begin = begin
        self.passed = 0.0

    def time(self) -> float:
        """See `time.time`: whole microseconds, and a little more.

        So a moment of whole milliseconds is not rounded down to the one before it where a caller truncates it.
        """
        return (round((self._begin + self.passed) * 1e6) + 0.3) / 1e6

    def monotonic(self) -> float:
        """See `time.monotonic`."""
        return _MONOTONIC_BEGIN + self.passed

    def move_to(self, monotonic: float) -> None:
        """Let time pass up to that monotonic moment; one that has passed is no error."""
        self.passed = max(self.passed, monotonic - _MONOTONIC_BEGIN)

    def move_by(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.passed += max(0.0, seconds)


class _WallTime:
    """In place of the module `time`: `time()` is that of the clock that counts at the moment, all else the module's."""

    @staticmethod
    def time() -> float:
        return _clocks[-1].time()

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


class _Times(_WallTime):
    """The other clocks of the module as well."""

    @staticmethod
    def monotonic() -> float:
        return _clocks[-1].monotonic()

    perf_counter = monotonic


_clocks: Final[list[VirtualClock]] = []
_wall_time: Final = _WallTime()
_times: Final = _Times()


@contextmanager
def counting(clock: VirtualClock) -> Iterator[None]:
    """Have the modules that ask for the time see `clock`; the clock of the innermost such block counts."""
    _clocks.append(clock)
    try:
        with stand_in(time, _times, _WORKERS), stand_in(time, _wall_time, _TASKS):
            yield
    finally:
        _clocks.pop()


@contextmanager
def stand_in(module: ModuleType, substitute: object, places: tuple[str, ...]) -> Iterator[None]:
    """Put `substitute` in the place of an imported `module`, in the modules whose names begin with one of `places`.

    A module that has another object in that place already keeps it.
    """
    name = module.__name__
    found = [each for path, each in list(sys.modules.items()) if path.startswith(places)]
    replaced = [each for each in found if vars(each).get(name) is module]
    for each in replaced:
        setattr(each, name, substitute)
    try:
        yield
    finally:
        for each in replaced:
            setattr(each, name, module)
