"""Exceptions that are raised in threads: what is taken back strikes no more, and leaves no trace in the interpreter."""

import subprocess
import sys
import threading

import pytest
from journeyman.tasks.errors import Overdue
from journeyman.workers.executors.thread_errors import raise_in, take_back

TRACED = """
import sys, threading
from journeyman.workers.executors.thread_errors import take_back

take_back()

def traced(*_):
    return traced

def step():
    return "went on"

sys.settrace(traced)
done = step()
sys.settrace(None)
print(done)
"""


def struck() -> None:
    raise_in(threading.get_ident())
    for _ in range(1_000):
        pass


def test_exception_strikes_its_thread() -> None:
    with pytest.raises(Overdue):
        struck()


def test_taken_back_exception_strikes_no_more() -> None:
    take_back()
    assert sum(range(10_000)) == 49_995_000


def test_traced_code_goes_on_after_one_was_taken_back() -> None:
    done = subprocess.run([sys.executable, "-c", TRACED], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "went on\n"
