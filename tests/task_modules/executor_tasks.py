"""Tasks for child processes that tests start: each writes into a file which process ran it."""

import ctypes
import errno
import multiprocessing
import os
import signal
import subprocess
import termios
import threading
import time
from typing import Any

import journeyman as jm
from task_modules.daemon_tasks import YARD, mark

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
    """Makes of its process another program, one that runs for so many seconds and reports nothing."""
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
def start_a_process(number: int, how: str) -> None:
    """Starts a process in an ordinary way, and waits for its end, or dies or returns at once."""
    if how == "multiprocessing":
        started: Any = multiprocessing.Process(target=time.sleep, args=[60])
        started.start()
    else:
        started = subprocess.Popen(["sleep", "60"])
    mark(f"started {number} {started.pid}")
    if how == "and die":
        os._exit(7)
    if how != "and return":
        (started.join if how == "multiprocessing" else started.wait)()
    started.returncode = 0  # so that no warning says that it still runs


@jm.task(broker)
def use_a_terminal(number: int) -> str:
    """Does what might interrupt or stop a process that is not in the foreground."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    terminal = os.open("/dev/tty", os.O_RDWR)
    attributes = termios.tcgetattr(terminal)
    attributes[3] |= termios.TOSTOP
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)
    os.write(terminal, b"written\n")
    try:
        os.read(terminal, 1)
    except OSError as error:
        said = errno.errorcode[error.errno or 0]
    mark(f"use_a_terminal {number} {os.getpid()}")
    while not (YARD / "go").exists():
        time.sleep(0.005)
    return said


@jm.task(broker)
def leave_a_process(number: int, how: str, *, stay: bool) -> None:
    """Starts a process that is to outlive this one, in one of several ways, and then dies or spins.

    It has a session of its own, as a daemon has: otherwise it is killed with the group.
    """
    if how == "fork":
        left = os.fork()
    elif how == "fork in C":  # what Python does at a fork is not done
        left = ctypes.PyDLL(None).fork()
    else:
        wait = f"while [ ! -e '{YARD / 'go'}' ]; do sleep 0.05; done"
        left = os.posix_spawn("/bin/sh", ["sh", "-c", wait], {}, setsid=True)
    if left == 0:
        os.setsid()
    while left == 0:
        time.sleep(0.02)
        if (YARD / "go").exists():
            os._exit(0)
    while os.getsid(left) != left:
        time.sleep(0.005)
    mark(f"left {number} {left}")
    mark(f"leave_a_process {number} {os.getpid()}")
    while stay:
        time.sleep(0.005)
    os._exit(7)
