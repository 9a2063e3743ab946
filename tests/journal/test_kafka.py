"""The distributed log keeps every promise of the port, on a real broker."""

import uuid
from typing import ClassVar

import pytest
from journeyman.journal.testing.conformance import LogConformance, ProcessConformance

pytestmark = [pytest.mark.kafka, pytest.mark.usefixtures("soon_ahead")]


class KafkaSuite:
    bootstrap: ClassVar[str]

    @pytest.fixture(autouse=True)
    def _broker(self, kafka_bootstrap: str) -> None:
        type(self).bootstrap = kafka_bootstrap

    def url(self, partitions: int) -> str:
        return f"kafka://{self.bootstrap}/test-{uuid.uuid4()}?partitions={partitions}"


class TestOnePartition(KafkaSuite, LogConformance):
    pass


class TestThreePartitions(KafkaSuite, LogConformance):
    partitions = 3


class TestProcesses(KafkaSuite, ProcessConformance):
    pass
