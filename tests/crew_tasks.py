"""Tasks for child processes that crews start in tests: each says in a file which process ran it."""

import os
import threading
import time

import journeyman as jm
from yard_tasks import YARD, mark

broker = jm.Broker("memory://")


@jm.task(broker)
def where(number: int) -> int:
    """Which process this is."""
    return os.getpid()


@jm.task(broker)
def hold(number: int) -> int:
    """Runs until a file says that all may end."""
    mark(f"hold {number} {os.getpid()}")
    while not (YARD / "go").exists():
        time.sleep(0.005)
    return os.getpid()


@jm.task(broker)
def die(number: int) -> None:
    """Takes its process with it once another task runs there."""
    mark(f"die {number} {os.getpid()}")
    while not (YARD / "die").exists():
        time.sleep(0.005)
    os._exit(7)


@jm.task(broker)
def spin(number: int) -> None:
    """Stays in Python code for ever."""
    mark(f"spin {number} {os.getpid()}")
    while True:
        time.sleep(0.005)


@jm.task(broker)
def wait_in_c(number: int) -> None:
    """Stays in a call that no exception from outside reaches."""
    mark(f"wait_in_c {number} {os.getpid()}")
    threading.Event().wait()


@jm.task(broker)
def hog(number: int) -> None:
    """Stays in a call that does not let go of the interpreter."""
    mark(f"hog {number} {os.getpid()}")
    while not (YARD / "go").exists():
        time.sleep(0.005)
    pow(3, 10**10)
