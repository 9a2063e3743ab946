"""10. The same code runs on a SQLite file and on Kafka. Only the URL differs.

On a file there is one partition and one machine; on Kafka, several partitions and as many machines as you like. What
the other pages show holds on both: an acknowledged append is durable, and the order within a partition decides.
"""

import uuid
from pathlib import Path

import journeyman as jm
import pytest
from support.workers import working


def bake_and_follow(url: str) -> None:
    """Submit tasks, run them, and follow what happened."""
    with jm.Journal(url) as journal:

        @jm.task(jm.Broker(journal))
        def bake(loaves: int) -> int:
            return 2 * loaves

        messages = [bake.generate([loaves]) for loaves in (1, 2, 3)]
        with working([bake], url):
            results = jm.ResultStore(journal)
            assert [results.get(message, timeout=60_000, keep=True) for message in messages] == [2, 4, 6]

        with jm.JournalConsumer(journal, "task.succeeded") as consumer:
            consumer.stop()
            assert sorted(event.context["result"] for event in consumer) == [2, 4, 6]


def test_program_runs_on_a_file(tmp_path: Path) -> None:
    bake_and_follow(f"sqlite:///{tmp_path}/bakery.db")


@pytest.mark.kafka
def test_same_program_runs_on_kafka(kafka_bootstrap: str) -> None:
    # Without Java or Maven this is skipped, and says so. `make kafka-up` starts a broker to try it by hand.
    bake_and_follow(f"kafka://{kafka_bootstrap}/bakery-{uuid.uuid4().hex}?partitions=3")
