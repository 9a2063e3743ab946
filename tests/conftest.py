"""What every test shares: a real Kafka, started once when the first test asks for it."""

import os
from collections.abc import Iterator

import pytest
from journeyman.deploy.kafka import KafkaCluster, KafkaUnavailable, require_kafka


@pytest.fixture(scope="session")
def kafka_cluster() -> Iterator[KafkaCluster]:
    """One real broker for the whole run; skipped with a sentence where there is no Java or Maven, a failure in CI."""
    try:
        require_kafka()
    except KafkaUnavailable as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    with KafkaCluster(nodes=1) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def kafka_bootstrap(kafka_cluster: KafkaCluster) -> str:
    """The address of that broker, host:port."""
    return kafka_cluster.bootstrap
