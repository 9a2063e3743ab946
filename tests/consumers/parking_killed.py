"""A consumer that parks is killed again and again: `parking_killed.py JOURNAL EFFECTS KILLS SEED BAD`.

Each life is a process of its own, forked here, that resumes from its checkpoint and has a callback record the number
of each event in the table `effects`; with BAD of 1 the callback fails at every fifth number. It says how far it has
come on a pipe, and is killed with SIGKILL at some moment after. The last life reads to the end. Prints how many lives
were cut short.
"""

import os
import random
import signal
import sqlite3
import sys
from contextlib import closing
from typing import Any

from journeyman.consumers import JournalConsumer, parking
from journeyman.journal import Journal

vars(parking)["PARK_BACKOFF_SECONDS"] = 0.0


def live(url: str, effects: str, bad: bool, commit_every: int, report: int) -> None:
    """Follow the journal to its present end."""
    connection = sqlite3.connect(effects, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = OFF")  # the machine does not crash, only this process
    handled = 0

    def callback(event: Any) -> None:
        nonlocal handled
        if event is None:
            consumer.commit()
            return
        os.write(report, b".")
        number = event.context["n"]
        if bad and number % 5 == 0:
            raise ValueError(f"{number} is too much")
        connection.execute("INSERT OR IGNORE INTO effects VALUES (?)", (number,))
        handled += 1
        if handled % commit_every == 0:
            consumer.commit()

    with Journal(url) as journal:
        consumer = JournalConsumer(journal, "order", checkpoint="billing", on_error="park", attempts=2)
        consumer.set_callback(callback).start()
        consumer.stop()
        consumer.join()
        consumer.close()


def main(url: str, effects: str, kills: int, seed: int, bad: bool) -> int:
    """Let it live and die; return how many lives were cut short."""
    chance = random.Random(seed)
    with closing(sqlite3.connect(effects)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE IF NOT EXISTS effects (n INTEGER PRIMARY KEY)")
    connection.close()
    killed = 0
    for life in range(kills + 1):
        ear, report = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(ear)
            try:
                live(url, effects, bad, chance.randint(1, 4), report)
            finally:
                os._exit(0 if sys.exc_info()[0] is None else 1)
        os.close(report)
        if life < kills:
            for _ in range(chance.randint(0, 12)):
                if not os.read(ear, 1):
                    break
            for _ in range(chance.randint(0, 30_000)):  # and then some: anywhere in the next attempt or append
                pass
            os.kill(pid, signal.SIGKILL)
        else:
            while os.read(ear, 4_096):
                pass
        _, status = os.waitpid(pid, 0)
        os.close(ear)
        killed += os.WIFSIGNALED(status)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            raise SystemExit(f"life {life} failed with status {status}")
    return killed


if __name__ == "__main__":
    print(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5] == "1"))
