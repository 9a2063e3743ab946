"""Huey on Redis: ``python -m peers.huey_side submit|work PORT TASKS``, in the peers' environment, in `bench/`."""

import importlib
import sys
import threading
import time
from typing import Any

from .parts import Done, say, say_submitted


def main(role: str, port: int, tasks: int) -> None:
    """One side of the stream."""
    queue: Any = importlib.import_module("huey").RedisHuey("stream", host="127.0.0.1", port=port)
    over = threading.Event()
    done = Done(tasks, over.set)

    def noop(number: int, submitted_at: float) -> int:
        done.note(submitted_at)
        return number

    task = queue.task()(noop)
    if role == "work":
        consumer = queue.create_consumer(workers=1, periodic=False, check_worker_health=False)
        consumer.start()
        say("ready")
        over.wait()
        consumer.stop(graceful=True)
        return
    queue.storage.conn.ping()
    say("ready")
    sys.stdin.readline()
    begun = time.time()
    for number in range(tasks):
        task(number, time.time())
    say_submitted(begun, time.time())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
