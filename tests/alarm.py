"""A signal at any given moment: what its handler raises can strike between any two steps."""

import dis
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

# What is interrupted as it is called has not begun; nobody hears what is raised as a weak reference goes.
begun_or_not = pytest.mark.filterwarnings(
    "ignore:coroutine .* was never awaited", "ignore::pytest.PytestUnraisableExceptionWarning"
)


class _Fuse(ReferenceType[Any]):
    """A weak reference that signals to the main thread as what it refers to goes, without running any Python code."""

    signal = staticmethod(interrupt_main)


@cache
def _looks(code: CodeType) -> frozenset[int]:
    """Where in `code` the interpreter looks for signals: at calls, and where it jumps back."""
    return frozenset(at.offset for at in dis.get_instructions(code) if at.opname.startswith(("CALL", "JUMP_BACKWARD")))


class Alarm:
    """Signals to the process once, just before the given one of the moments at which the interpreter looks for signals.

    The handler, which raises `error`, then runs where a handler does: nothing is raised in the tracing itself, which
    costs CPython 3.11 a reference now and then. That is why the signal must wait until the tracing function has
    returned, which is when `burning` goes. Only moments in the files below `within` count: an event loop for one does
    not go on from everywhere.
    """

    def __init__(self, moment: int, error: type[BaseException], within: Path | None = None) -> None:
        self.rang = False
        self._left = moment
        self._error = error
        self._within = "" if within is None else f"{within}/"

    def call(self, function: Callable[[], T]) -> T | None:
        """Call it; None if the alarm rang meanwhile."""
        if self.rang:
            return function()
        former = signal.signal(signal.SIGINT, self._ring)
        sys.settrace(self._enter)
        try:
            return function()
        except self._error:
            if self._left > 0:
                raise
            return None
        finally:
            sys.settrace(None)
            signal.signal(signal.SIGINT, former)

    def _ring(self, _number: int, _frame: FrameType | None) -> None:
        self.rang = True
        raise self._error

    def _enter(self, frame: FrameType, _what: str, _arg: object) -> Callable[..., Any] | None:
        if self._left <= 0 or not frame.f_code.co_filename.startswith(self._within):
            return None
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        return self._count

    def _count(self, frame: FrameType, what: str, _arg: object) -> Callable[..., Any]:
        if what == "opcode" and frame.f_lasti in _looks(frame.f_code):
            self._left -= 1
            if not self._left:
                burning: set[None] = set()
                self._fuse = _Fuse(burning, methodcaller("signal"))
        return self._count
