"""Raise an exception in a thread, or take it back, by `PyThreadState_SetAsyncExc`, without slowing the process down.

After an exception was taken back, CPython 3.11 goes on looking for it at each call and jump, in all threads, until
another one strikes: code runs at half of its speed, and a traced function (a debugger, a coverage tool) never goes on.
So a thread that takes one back lets another one strike at once, and catches it.
"""

import ctypes
import threading
from contextlib import suppress

from ...tasks.errors import Overdue

_LOOKS = 1_000  # the exception strikes at the first one


def raise_in(ident: int) -> None:
    """Raise `Overdue` in the thread of that identifier, at its next step of Python code."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(Overdue))


def take_back() -> None:
    """Take back what was raised in this thread and has not struck."""
    ident = threading.get_ident()
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), None)
    with suppress(Overdue):
        raise_in(ident)
        for _ in range(_LOOKS):
            pass
