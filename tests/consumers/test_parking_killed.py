"""A parking consumer killed at random points parks each bad event once and loses none."""

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
from journeyman.consumers import JournalConsumer
from journeyman.consumers.checkpoints.operations import parked_events, replay
from journeyman.journal import Journal

KILLS = int(os.environ.get("JOURNEYMAN_KILLS", "40"))


def live_and_die(url: str, directory: Path, kills: int, bad: bool) -> set[int]:
    """Let it live and be killed; return the numbers that had their effect."""
    seed = random.randrange(2**32)
    script, effects = str(Path(__file__).with_name("parking_killed.py")), directory / "effects.db"
    command = [sys.executable, script, url, str(effects), str(kills), str(seed), "1" if bad else "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 + 2 * kills, check=False)
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    assert int(done.stdout) >= kills // 2, f"seed {seed}: most lives should have been cut short, {done.stdout} were"
    with closing(sqlite3.connect(effects)) as connection, connection:
        seen = {n for (n,) in connection.execute("SELECT n FROM effects")}
    connection.close()
    return seen


def check(url: str, directory: Path, kills: int) -> None:
    count = 40 * kills
    with Journal(url) as journal:
        for start in range(0, count, 500):
            chunk = range(start, min(start + 500, count))
            journal.append_all([("order.paid", {"n": n}, str(n % 7)) for n in chunk])
    bad = {n for n in range(count) if n % 5 == 0}
    assert live_and_die(url, directory, kills, bad=True) == set(range(count)) - bad
    with Journal(url) as journal:
        with JournalConsumer(journal, "consumer.parked", until=journal.bounds().end) as consumer:
            appended = Counter(event.context["event"]["context"]["n"] for event in consumer)
        assert appended == Counter(bad), "each bad event is parked once, and no other"
        parked = journal.run(parked_events(journal.asynchronous, "billing"))
        for one in parked:
            journal.run(replay(journal.asynchronous, one, "ada@host"))
    assert live_and_die(url, directory, min(kills, len(bad) // 8), bad=False) == set(range(count))
    with Journal(url) as journal:
        assert journal.run(parked_events(journal.asynchronous, "billing")) == []


@pytest.mark.timeout(120 + 6 * KILLS)
def test_killed_consumer_parks_each_bad_event_once(tmp_path: Path) -> None:
    check(f"sqlite:///{tmp_path}/journal.db", tmp_path, KILLS)


@pytest.mark.kafka
def test_killed_consumer_parks_once_on_kafka_too(tmp_path: Path, kafka_bootstrap: str) -> None:
    check(f"kafka://{kafka_bootstrap}/parked-{uuid.uuid4().hex}?partitions=3", tmp_path, max(5, KILLS // 8))
