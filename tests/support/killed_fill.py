"""Fill a task index in children that kill themselves on the way: `python -m support.killed_fill JOURNAL INDEX`.

Each line of standard input is a number of calls into C after which the next child kills itself; the answer is the
child's wait status. The parent runs no threads and no other test, so no child inherits anything of theirs.
"""

import os
import signal
import sys

import journeyman as jm
from journeyman.journal.runtime.blocking import run
from journeyman.tasks.index import index as index_module
from journeyman.tasks.index.index import TaskIndex
from journeyman.tasks.index.store import Store

BATCH_EVENTS = 40


def fill(url: str, path: str, calls: int) -> None:
    """Fill the index of the journal; the process kills itself before its `calls`-th call into C."""
    left = [calls]

    def count(_frame: object, event: str, _argument: object) -> None:
        left[0] -= event == "c_call"
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(index_module, "INDEX_BATCH_EVENTS", BATCH_EVENTS)  # noqa: B010 - the module does not export it
    index = TaskIndex(jm.Journal(url).asynchronous, Store(path))
    sys.setprofile(count)
    run(index.catch_up())
    sys.setprofile(None)


def main(url: str, path: str) -> None:
    """Fork one child per line of standard input."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            status = 1
            try:
                fill(url, path, int(line))
                status = 0
            finally:
                os._exit(status)
        print(os.waitpid(child, 0)[1], flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
