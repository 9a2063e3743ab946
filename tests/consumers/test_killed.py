"""A consumer killed at random points resumes from its checkpoint: each event has its effect exactly once."""

import os
import random
import sqlite3
import subprocess
import sys
import uuid
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from journeyman.journal import Journal

KILLS = int(os.environ.get("JOURNEYMAN_KILLS", "40"))


def check(url: str, directory: Path, kills: int, kind: str) -> None:
    seed = random.randrange(2**32)
    count = 75 * kills  # more than a life reads: on a busy machine one goes on for long before it is killed
    with Journal(url) as journal:
        for start in range(0, count, 500):
            chunk = range(start, min(start + 500, count))
            journal.append_all([("order.paid", {"n": n}, str(n % 7)) for n in chunk])
    script = str(Path(__file__).with_name("killed.py"))
    effects = directory / "effects.db"
    command = [sys.executable, script, url, str(effects), str(kills), str(seed), kind]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 + 2 * kills, check=False)
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    assert int(done.stdout) >= kills // 2, f"seed {seed}: most lives should have been cut short, {done.stdout} were"
    with closing(sqlite3.connect(effects)) as connection, connection:
        seen = Counter(n for (n,) in connection.execute("SELECT n FROM effects"))
    connection.close()
    assert seen == Counter(range(count)), f"seed {seed}: each event once"


@pytest.mark.timeout(120 + 3 * KILLS)
@pytest.mark.parametrize("kind", ["user", "journal"])
def test_killed_consumer_applies_each_event_exactly_once(tmp_path: Path, kind: str) -> None:
    check(f"sqlite:///{tmp_path}/journal.db", tmp_path, KILLS, kind)


@pytest.mark.kafka
def test_killed_consumer_is_exactly_once_on_kafka_too(tmp_path: Path, kafka_bootstrap: str) -> None:
    check(f"kafka://{kafka_bootstrap}/killed-{uuid.uuid4().hex}?partitions=3", tmp_path, max(5, KILLS // 8), "user")
