"""A journal that is unavailable for a while: the consumer waits, raises no false error, and misses no event."""

import threading
import uuid
from pathlib import Path
from typing import Any

import apsw
import pytest
from journeyman.consumers import JournalConsumer
from journeyman.deploy.kafka import KafkaCluster
from journeyman.journal import Journal

PATIENCE = 60.0


def numbers(events: list[Any]) -> list[Any]:
    return [event.context["n"] for event in events]


def test_long_write_lock_delays_writers_and_not_consumers(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal(f"sqlite:///{path}") as journal:
        journal.append("order.paid", {"n": 1})
        with JournalConsumer(journal) as consumer:
            foreign = apsw.Connection(str(path))
            foreign.execute("BEGIN IMMEDIATE")
            try:
                assert numbers([consumer.poll(PATIENCE)]) == [1], "history is read beside the lock"
                with JournalConsumer(journal) as another:
                    assert numbers([another.poll(PATIENCE)]) == [1]
                waiting = threading.Thread(target=journal.append, args=("order.paid", {"n": 2}))
                waiting.start()
                with pytest.raises(TimeoutError):
                    consumer.poll(0.3)
            finally:
                foreign.execute("ROLLBACK")
                foreign.close()
            assert numbers([consumer.poll(PATIENCE)]) == [2]
            waiting.join()


@pytest.mark.kafka
@pytest.mark.timeout(300)
def test_broker_killed_and_restarted_costs_no_event(shaky: KafkaCluster) -> None:
    broker = shaky.brokers[0]
    url = f"kafka://{shaky.bootstrap}/outage-{uuid.uuid4()}?partitions=2"
    got: list[Any] = []
    came = threading.Condition()

    def callback(event: Any) -> None:
        with came:
            got.append(event)
            came.notify_all()

    def wait_for(count: int) -> None:
        with came:
            assert came.wait_for(lambda: len(got) >= count, PATIENCE), f"waited for {count} events, got {len(got)}"

    with Journal(url) as journal:
        by_callback = JournalConsumer(journal, "order").set_callback(callback).start()
        with JournalConsumer(journal, "order") as by_poll:
            journal.append_all([("order.paid", {"n": n}, str(n)) for n in range(10)])
            wait_for(10)
            first = [by_poll.poll(PATIENCE) for _ in range(4)]
            broker.kill()
            broker.restart()
            shaky.wait_until_ready()
            journal.append_all([("order.paid", {"n": n}, str(n)) for n in range(10, 20)])
            wait_for(20)
            rest = [by_poll.poll(PATIENCE) for _ in range(16)]
            assert sorted(numbers(first + rest)) == list(range(20))
        by_callback.stop()
        by_callback.join(PATIENCE)
        assert got.pop() is None
        assert sorted(numbers(got)) == list(range(20))
        by_callback.close()
