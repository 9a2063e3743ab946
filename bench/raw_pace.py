"""The least that a worker of a stream costs: a hand-written loop on raw apsw that claims and settles at our pace.

It has the rows, the pragmas and the period of ours, and takes no account of anything else: one thread, no state, no
lease, no notices, no checksums.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from journeyman.bench import child, drain, raw_sqlite
from journeyman.bench.rows import TASK_EVENTS
from journeyman.workers.limits import COMMIT_PACE_SECONDS


def measured(path: Path, tasks: int, rate: float) -> float:
    """The CPU time of that worker, in seconds, for tasks that another process submits one by one at `rate` a second."""
    with (
        child.partner("raw_pace:worker", path=str(path), tasks=tasks) as working,
        child.partner("raw_pace:submitter", path=str(path), tasks=tasks, rate=rate) as submitting,
    ):
        before = float(working.ask())
        submitting.ask()
        return float(working.ask()) - before


# -- parts, each in a process of its own ---------------------------------------------------------------------------


def submitter(path: str, tasks: int, rate: float) -> None:
    """At a line: commit the submissions one by one, each when it is due, and print an empty line."""
    connection, rows = raw_sqlite.connect(path), drain.submission_rows(tasks)
    child.say_ready()
    for _ in sys.stdin:
        begun = time.perf_counter()
        for number, row in enumerate(rows):
            early = begun + number / rate - time.perf_counter()
            if early > 0:
                time.sleep(early)
            connection.execute(raw_sqlite.INSERT, (row,))
        child.say("")
    connection.close()


def worker(path: str, tasks: int) -> None:
    """Print the seconds of CPU time used so far: at the first line, and at the second once all tasks are done."""
    with ThreadPoolExecutor(1) as thread:
        child.say_ready()
        sys.stdin.readline()
        child.say(str(child.cpu_seconds()))
        working = thread.submit(work, path, tasks)
        sys.stdin.readline()
        working.result()
        child.say(str(child.cpu_seconds()))
        child.wait_for_end()


def work(path: str, tasks: int) -> None:
    """Once in a period: claim what has come in one commit, run it, and settle it in another."""
    connection = raw_sqlite.connect(path)
    position, done, own = 0, 0, [range(0), range(0)]
    due = time.perf_counter()
    while done < tasks:
        due = max(due + COMMIT_PACE_SECONDS, time.perf_counter())
        time.sleep(max(0.0, due - time.perf_counter()))
        rows = raw_sqlite.page(connection, position, limit=TASK_EVENTS * tasks)
        if not rows:
            continue
        position = rows[-1][0]
        came = [row for row in rows if row[0] not in own[0] and row[0] not in own[1]]
        if not came:
            continue
        claims, outcomes = drain.by_hand(came, first_claim=position + 1)
        own = []
        for events in (claims, outcomes):
            raw_sqlite.append_batch(connection, events)
            last = connection.last_insert_rowid()
            own.append(range(last - len(events) + 1, last + 1))
        done += len(came)
    connection.close()
