"""A worker in a thread of the test's own process: as real as one in a process of its own, and ready at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import journeyman as jm
from journeyman.workers.pools import Tasks
from support.waiting import wait_until


@contextmanager
def working(tasks: Tasks, url: str, settings: jm.Settings | None = None) -> Iterator[None]:
    """Run a worker of these tasks on the journal `url`; at the end it drains and leaves, without an error."""
    worker, ready = jm.Worker(tasks, url, settings), threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            worker.run(lambda _: ready.set())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="worker")
    thread.start()
    try:
        wait_until(lambda: ready.is_set() or errors, "the worker to be ready")
        yield
    finally:
        worker.stop()
        thread.join(60)
        assert not thread.is_alive(), "the worker has not left within 30 s"
        assert not errors, f"the worker has ended with {errors}"
