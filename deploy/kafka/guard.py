"""Kill brokers when the process that started them is gone, however it ended.

Run as a script with its own session, so that neither Ctrl-C nor a kill of the parent's group reaches it.
Standard input is a pipe from the parent: ``watch PID`` and ``forget PID`` lines, then end of file when the parent
closes it or dies. Then the guard kills all processes that are still watched, and removes the directory given as
argument. It also polls the parent's pid: a process forked from the parent may hold the pipe open after it.
Uses the standard library alone and no import of ours: it is started by its path, and must start fast.
"""

import contextlib
import os
import select
import shutil
import signal
import sys

PARENT_CHECK_SECONDS = 1.0


def main() -> None:
    """Follow the orders on standard input until the parent is gone, then clean up after it."""
    parent = os.getppid()
    watched: set[int] = set()
    rest = b""
    while True:
        readable, _, _ = select.select([0], [], [], PARENT_CHECK_SECONDS)
        if not readable:
            if os.getppid() != parent:
                break
            continue
        data = os.read(0, 4096)
        if not data:
            break
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            obey(line.decode(), watched)
    for pid in watched:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    for directory in sys.argv[1:]:
        shutil.rmtree(directory, ignore_errors=True)


def obey(order: str, watched: set[int]) -> None:
    """Apply one ``watch PID`` or ``forget PID``."""
    verb, pid = order.split()
    if verb == "watch":
        watched.add(int(pid))
    else:
        watched.discard(int(pid))


if __name__ == "__main__":
    main()
