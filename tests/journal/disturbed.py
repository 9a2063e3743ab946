"""A process that appends while one of its threads disturbs the file: `python disturbed.py PATH DISTURBANCE ROUNDS`.

It prints the number and offset of each acknowledged append, then "done", and waits to be killed.
"""

import ctypes
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from journeyman.journal import Journal
from journeyman.journal.sqlite.foreign_access import unwatched

APPENDS_PER_ROUND = 15
COUNT = "SELECT count(*) FROM events"


def count_by_second_library(path: str) -> None:
    """Open and close the file as a nightly backup may, in a way that the audit hook does not see."""
    with unwatched():
        connection = sqlite3.connect(path, timeout=20.0)
    connection.execute(COUNT).fetchall()
    connection.close()


def close_descriptors(path: str) -> None:
    """Open and close the file as a C library may; then another program does, as the last one if it can."""
    libc = ctypes.CDLL(None)
    for suffix in ("", "-wal", "-shm"):
        descriptor = libc.open(os.fsencode(path + suffix), os.O_RDONLY)
        if descriptor >= 0:
            libc.close(descriptor)
    program = f"import sqlite3; c = sqlite3.connect({path!r}, timeout=20.0); c.execute({COUNT!r}).fetchall(); c.close()"
    subprocess.run([sys.executable, "-c", program], check=True)


def remove(*suffixes: str) -> Callable[[str], None]:
    """As `rm` does."""

    def removed(path: str) -> None:
        for suffix in suffixes:
            Path(path + suffix).unlink(missing_ok=True)  # just removed, it may not be made anew yet

    return removed


DISTURBANCES: dict[str, Callable[[str], None]] = {
    "second-library": count_by_second_library,
    "descriptors": close_descriptors,
    "wal-removed": remove("-wal"),
    "shm-removed": remove("-shm"),
    "both-removed": remove("-wal", "-shm"),
}


def main(path: str, disturbance: str, rounds: int) -> None:
    """Append, print and disturb."""
    number = 0

    def append(journal: Journal, times: int) -> None:
        nonlocal number
        for _ in range(times):
            event = journal.append("thing.made", {"number": number})
            print(number, event.offset, flush=True)
            number += 1

    with Journal(f"sqlite:///{path}") as journal:
        append(journal, APPENDS_PER_ROUND)
        for _ in range(rounds):
            thread = threading.Thread(target=DISTURBANCES[disturbance], args=[path])
            thread.start()
            append(journal, APPENDS_PER_ROUND)
            thread.join()
        append(journal, 1)  # what was removed after the last acknowledgement is written again
        print("done", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
