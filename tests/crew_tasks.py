"""Tasks for child processes that crews start in tests: each says in a file which process ran it."""

import ctypes
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
def become(number: int, how: str) -> None:
    """Makes of its process another program, one that runs for so many seconds and reports to nobody."""
    mark(f"become {number} {os.getpid()}")
    os.execv("/bin/sleep", ["sleep", how])


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


@jm.task(broker)
def leave_a_process(number: int, how: str, *, stay: bool) -> None:
    """Starts a process that outlives this one, in one of several ways, and then dies or spins."""
    if how == "fork":
        stays = os.fork() == 0
    elif how == "fork in C":  # what Python does at a fork is not done
        stays = ctypes.PyDLL(None).fork() == 0
    else:
        wait = f"while [ ! -e '{YARD / 'go'}' ]; do sleep 0.05; done"
        os.posix_spawn("/bin/sh", ["sh", "-c", wait], {})
        stays = False
    while stays:
        time.sleep(0.02)
        if (YARD / "go").exists():
            os._exit(0)
    mark(f"leave_a_process {number} {os.getpid()}")
    while stay:
        time.sleep(0.005)
    os._exit(7)
