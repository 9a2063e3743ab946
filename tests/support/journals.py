"""The logs on which a suite for consumers runs: `class TestOnSqlite(OnSqlite, Suite)`."""

import uuid
from pathlib import Path

import pytest


class OnMemory:
    def url(self, directory: Path) -> str:
        return "memory://"


class OnMemoryPartitions:
    def url(self, directory: Path) -> str:
        return "memory://?partitions=4"


class OnSqlite:
    def url(self, directory: Path) -> str:
        return f"sqlite:///{directory}/journal.db"


@pytest.mark.kafka
class OnKafka:
    @pytest.fixture(autouse=True)
    def broker(self, kafka_bootstrap: str) -> None:
        self.bootstrap = kafka_bootstrap

    def url(self, directory: Path) -> str:
        return f"kafka://{self.bootstrap}/consumers-{uuid.uuid4().hex}?partitions=3"
