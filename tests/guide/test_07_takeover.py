"""7. A worker that dies loses its claims, and another worker runs its tasks.

A worker's session has a lease. A worker that holds claims and appends nothing for the length of its lease is expired by
another one, in log order, and its tasks return to the queue; the attempt counts. On the same machine a worker
whose process is gone is expired sooner. So a task runs at least once, and completes at most once.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import journeyman as jm
from support.workers import working
from task_modules import guide_tasks

TESTS = Path(__file__).parents[1]
SHORT_LEASE = jm.Settings(lease_ms=500)


@contextmanager
def worker_process(url: str) -> Iterator["subprocess.Popen[bytes]"]:
    """The same worker as `journeyman worker task_modules.guide_tasks` in a terminal."""
    command = [sys.executable, "-m", "journeyman", "worker", "task_modules.guide_tasks", "--lease-ms", "500"]
    command += ["--journal", url]
    with subprocess.Popen(command, cwd=TESTS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def test_task_of_a_killed_worker_is_run_by_another(journal: jm.Journal, url: str) -> None:
    message = guide_tasks.bake.generate(submit=False)
    jm.Broker(journal).submit(message)

    with worker_process(url) as process:
        jm.StatusTracker(journal).wait_for(message, jm.TaskStatus.RUNNING, timeout=60)
        process.send_signal(signal.SIGKILL)  # it can append nothing any more, not even its leaving

    with working([guide_tasks.bake], url, SHORT_LEASE):
        assert jm.ResultStore(journal).get(message, timeout=60_000) == "baked in attempt 2"

    told = [event.name for event in journal.read().events if event.name.startswith(("task.", "worker.expired"))]
    assert told[:5] == ["task.submitted", "task.claimed", "worker.expired", "task.claimed", "task.succeeded"]
