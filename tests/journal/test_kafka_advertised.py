"""Brokers that send their clients on to an address at which nothing answers: the commonest fault of a new Kafka."""

import socket

import pytest
from journeyman.deploy.kafka import KafkaCluster
from journeyman.journal import Journal, JournalUnavailable
from support.waiting import wait_until

WRONG = "localhost:9"  # the discard service, which no machine of today runs


def accepts(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1.0).close()
    except OSError:
        return False
    return True


@pytest.mark.kafka
@pytest.mark.timeout(300)
def test_wrong_advertised_address_is_named(kafka_can_run: None) -> None:
    with KafkaCluster(nodes=1) as cluster:
        (broker,) = cluster.brokers
        settings = broker.properties.read_text()
        lines = [
            f"advertised.listeners=PLAINTEXT://{WRONG}" if line.startswith("advertised.listeners=") else line
            for line in settings.splitlines()
        ]
        assert lines != settings.splitlines()
        broker.stop()
        broker.properties.write_text("\n".join(lines))
        broker.launch()
        wait_until(lambda: accepts(broker.address), "the broker to accept connections", 120.0)
        with pytest.raises(JournalUnavailable) as error, Journal(f"kafka://{broker.address}/shop") as journal:
            journal.append("order.paid")
        assert f"Kafka answers at {broker.address}, but a broker advertises the address {WRONG}" in str(error.value)
        assert "Correct advertised.listeners" in str(error.value)
