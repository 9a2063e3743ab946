"""A signal at any given moment: what its handler raises can strike between any two steps."""

import ctypes
import dis
import re
import signal
import sys
from _thread import interrupt_main
from collections.abc import Callable
from functools import cache
from operator import methodcaller
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, TypeVar
from weakref import ReferenceType

import pytest

T = TypeVar("T")

# A call that is interrupted as it is made has not begun; what is raised as a weak reference goes is lost.
begun_or_not = pytest.mark.filterwarnings(
    "ignore:coroutine .* was never awaited", "ignore::pytest.PytestUnraisableExceptionWarning"
)


class _Fuse(ReferenceType[Any]):
    """A weak reference that signals to the main thread as what it refers to goes, without running any Python code."""

    signal = staticmethod(interrupt_main)


# The interpreter looks for signals where a Python function begins, as a call in C has returned and where it jumps back:
# so it does just after these. What returns or yields may do so to C, which runs a coroutine for one and then returns.
_BEFORE_LOOKS = re.compile("CALL|(POP_)?JUMP_BACKWARD|RETURN|YIELD")


@cache
def _moments(code: CodeType) -> frozenset[int]:
    """The instructions of `code` before which a signal is caught by a look of its own."""
    return frozenset(at.offset for at in dis.get_instructions(code) if _BEFORE_LOOKS.match(at.opname))


# The moments of the code that is traced, by its id: to hash code is to hash all its parts, each time. An id may come
# again when its code is gone, so each frame that is entered sets those of its own code.
_moments_by_id: dict[int, frozenset[int]] = {}


class Alarm:
    """Signals to the process once, just before the given one of the moments at which the interpreter looks for signals.

    The handler, which raises `error`, then runs where a handler does: nothing is raised in the tracing itself, which
    costs CPython 3.11 a reference now and then, nor as a traced function returns to another, where no code looks. That
    is why the signal must wait until the tracing function has returned, which is when `burning` goes, and why nothing
    is traced from then on. Only moments in the files below `within` count: an event loop for one does not go on from
    everywhere. `twice`: two signals at once, as may have come during one long call; the second strikes the code that
    cleans up after the first.
    """

    def __init__(
        self, moment: int, error: type[BaseException], within: Path | None = None, *, twice: bool = False
    ) -> None:
        self.rang = False
        self._over = False
        self._signals = [signal.SIGINT, signal.SIGTERM][: 1 + twice]
        self._left = moment
        self._error = error
        self._within = "" if within is None else f"{within}/"

    def call(self, function: Callable[[], T]) -> T | None:
        """Call it; None if the alarm ended it."""
        if self.rang:
            return function()
        former = [signal.signal(each, self._send_notice) for each in self._signals]
        result = None
        try:
            try:
                try:
                    _set[:] = [self]
                    sys.settrace(_enter)
                    result = function()
                finally:
                    sys.settrace(None)  # what came as it returned strikes here
            finally:
                sys.settrace(None)  # and here what came with that
        except self._error:
            if self._left > 0:
                raise
        finally:
            self._over = True  # where threads change, a signal may be pending for longer than the next look
            for each, handler in zip(self._signals, former, strict=True):
                signal.signal(each, handler)
        return result

    def _send_notice(self, _number: int, _frame: FrameType | None) -> None:
        self.rang = True
        if not self._over:
            raise self._error

    def enter(self, frame: FrameType) -> Callable[..., Any] | None:
        """What traces a frame that begins; None if nothing does."""
        if self._left <= 0 or not frame.f_code.co_filename.startswith(self._within):
            return None
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        _moments_by_id[id(frame.f_code)] = _moments(frame.f_code)
        return _count

    def count(self) -> None:
        """Count a moment, and light the fuse if it is the one."""
        self._left -= 1
        if not self._left:
            sys.settrace(None)
            burning: set[None] = set()
            self._fuses = [_Fuse(burning, methodcaller("signal", each)) for each in self._signals]


# The alarm that is set. It is traced by these two functions and not by its own methods: with an error that is raised in
# a traced frame CPython 3.11 may lose a reference to what traces it, and then calls a method that is gone.
_set: list[Alarm] = []


def _enter(frame: FrameType, _what: str, _arg: object) -> Callable[..., Any] | None:
    return _set[0].enter(frame)


def _count(frame: FrameType, what: str, _arg: object) -> Callable[..., Any]:
    if what == "opcode" and frame.f_lasti in _moments_by_id[id(frame.f_code)]:
        _set[0].count()
    return _count


for _tracing in (_enter, _count):
    for _ in range(100_000):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(_tracing))
