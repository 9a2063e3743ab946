"""A program that runs a pool of workers as a user's would: `pool_program.py thread|process|worker JOURNAL`."""

import sys

import journeyman as jm
from task_modules import daemon_tasks, pool_tasks

if __name__ == "__main__":
    kind, journal = sys.argv[1:3]
    tasks = [task for task in (vars(daemon_tasks) | vars(pool_tasks)).values() if isinstance(task, jm.Task)]
    settings = jm.Settings(lease_ms=1_000, drain_seconds=20)
    worker: jm.Worker
    if kind == "thread":
        worker = jm.ThreadWorkerPool(tasks, n_threads=2, n_processes=2, journal=journal, settings=settings)
    elif kind == "process":
        worker = jm.ProcessWorkerPool(tasks, n_processes=2, journal=journal, settings=settings)
    else:
        worker = jm.Worker(tasks, journal, settings)
    done = worker.run()
    print(f"{done.succeeded} succeeded", flush=True)
