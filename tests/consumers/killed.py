"""A consumer that is killed again and again: `killed.py JOURNAL EFFECTS KILLS SEED KIND`.

Each life is a process of its own, forked here, that resumes from its checkpoint, records the number of each event in
the table `effects` and commits; it says how far it has come on a pipe, and is killed with SIGKILL at some moment after.
KIND says where the checkpoint is: `user` in the transaction that records the effects, `journal` in the journal itself.
The last life reads to the end. Prints how many lives were cut short.
"""

import os
import random
import signal
import sqlite3
import sys
from contextlib import closing

from journeyman.consumers import JournalConsumer, SqliteCheckpoint
from journeyman.journal import Journal


def live(url: str, effects: str, kind: str, events_max: int, report: int) -> None:
    """Follow the journal to its present end."""
    connection = sqlite3.connect(effects, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")  # the machine does not crash, only this process
    checkpoint = SqliteCheckpoint(connection, "totals") if kind == "user" else "totals"
    with Journal(url) as journal, JournalConsumer(journal, "order", checkpoint=checkpoint) as consumer:
        consumer.stop()
        while batch := consumer.poll_batch(events_max):
            connection.execute("BEGIN")
            for event in batch:
                place = f"{event.position}"
                connection.execute("INSERT INTO effects VALUES (?, ?)", (event.context["n"], place))
            if kind == "user":
                consumer.commit()
            connection.execute("COMMIT")
            os.write(report, b".")
            if kind == "journal":
                consumer.commit()


def main(url: str, effects: str, kills: int, seed: int, kind: str) -> int:
    """Let it live and die; return how many lives were cut short."""
    chance = random.Random(seed)
    with closing(sqlite3.connect(effects)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        conflict = "" if kind == "user" else " ON CONFLICT IGNORE"  # a commit that was lost has its events come again
        connection.execute(f"CREATE TABLE effects (n INTEGER, place TEXT PRIMARY KEY{conflict})")
    connection.close()
    killed = 0
    for life in range(kills + 1):
        ear, report = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(ear)
            try:
                live(url, effects, kind, chance.randint(1, 4), report)
            finally:
                os._exit(0 if sys.exc_info()[0] is None else 1)
        os.close(report)
        if life < kills:
            for _ in range(chance.randint(0, 12)):
                if not os.read(ear, 1):
                    break
            for _ in range(chance.randint(0, 20_000)):  # and then some: anywhere in the next batch
                pass
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        os.close(ear)
        killed += os.WIFSIGNALED(status)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            raise SystemExit(f"life {life} failed with status {status}")
    return killed


if __name__ == "__main__":
    print(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]))
