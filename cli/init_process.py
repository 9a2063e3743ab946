"""Reap orphans where the worker is the first process (pid 1), in a container for example.

The kernel makes the first process the parent of every orphan, and an orphan that ends stays a zombie until its parent
waits for it. So the worker runs in a child, and the first process only forwards signals, reaps the processes that end,
and ends with the worker.
"""

import os
import signal
import sys
from contextlib import suppress
from typing import Final, NoReturn

_FIRST_PROCESS: Final = 1
_PASSED_ON: Final = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGCONT,
)


def leave_duties_of_first_process() -> None:
    """Continue in a child if this is the first process of its system; must be called before any thread is started."""
    if os.getpid() != _FIRST_PROCESS:
        return
    awaited = {*_PASSED_ON, signal.SIGCHLD}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    child = os.fork()
    if child:
        _attend(child, awaited)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _attend(child: int, awaited: set[signal.Signals]) -> NoReturn:
    while True:
        number = signal.sigwait(awaited)
        if number != signal.SIGCHLD:
            with suppress(ProcessLookupError):
                os.kill(child, number)
            continue
        status = _reap(child)
        if status is not None:
            os._exit(status if status >= 0 else 128 - status)  # as a shell reports a signal


def _reap(child: int) -> int | None:
    """Reap all processes that have ended; return the exit status of `child` if it is among them."""
    ended: int | None = None
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            if pid == child:
                ended = os.waitstatus_to_exitcode(status)
    return ended
