"""Kill brokers when the process that started them is gone, however it ended.

Run as a script with its own session, so that neither Ctrl-C nor a kill of the parent's group reaches it.
Standard input is a pipe from the parent: ``watch PID`` and ``forget PID`` lines, then ``end`` when the parent closes
the guard, or end of file when the parent dies. Then the guard kills all processes that are still watched, and removes
the directory given as argument. A process forked from the parent may hold the pipe open: therefore the parent does not
rely on end of file, and the guard also polls the parent's pid.
Uses the standard library alone and no import of ours: it is started by its path, and must start fast.
"""

import contextlib
import os
import select
import shutil
import signal
import sys
from collections.abc import Iterator

# How often it checks that its parent lives, in seconds.
PARENT_CHECK_SECONDS = 1.0


def main() -> None:
    """Follow the orders of the parent until it is gone, then clean up after it."""
    watched: set[int] = set()
    for order in orders():
        verb, pid = order.split()
        if verb == "watch":
            watched.add(int(pid))
        else:
            watched.discard(int(pid))
    for group in watched:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    for directory in sys.argv[1:]:
        shutil.rmtree(directory, ignore_errors=True)


def orders() -> Iterator[str]:
    """Yield each ``watch PID`` or ``forget PID`` until the parent sends ``end``, closes the pipe or dies."""
    parent = os.getppid()
    rest = b""
    while True:
        readable, _, _ = select.select([0], [], [], PARENT_CHECK_SECONDS)
        if not readable:
            if os.getppid() != parent:
                return
            continue
        data = os.read(0, 4096)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            if line == b"end":
                return
            yield line.decode()


if __name__ == "__main__":
    main()
