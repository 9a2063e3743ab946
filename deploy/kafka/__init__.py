"""A real Apache Kafka (KRaft) on this machine without Docker: for development, tests, the demo and benchmarks."""

from .broker import Broker
from .cluster import KafkaCluster
from .distribution import KAFKA_VERSION, require_kafka
from .errors import KafkaClusterError, KafkaUnavailable

__all__ = [
    "KAFKA_VERSION",
    "Broker",
    "KafkaCluster",
    "KafkaClusterError",
    "KafkaUnavailable",
    "require_kafka",
]
