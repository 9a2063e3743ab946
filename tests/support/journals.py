"""The logs on which a suite for consumers runs: `class TestOnSqlite(OnSqlite, Suite)`."""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.service import service_here


class OnMemory:
    def url(self, directory: Path) -> str:
        return "memory://"


class OnMemoryPartitions:
    def url(self, directory: Path) -> str:
        return "memory://?partitions=4"


class OnSqlite:
    def url(self, directory: Path) -> str:
        return f"sqlite:///{directory}/journal.db"


class OnHttp:
    """A journal behind a service of its own, which ends with the test."""

    @pytest.fixture(autouse=True)
    def services(self) -> Iterator[None]:
        with ExitStack() as self.served:
            yield

    def url(self, directory: Path) -> str:
        return self.served.enter_context(service_here(f"sqlite:///{directory}/journal.db"))


@pytest.mark.kafka
class OnKafka:
    partitions = 3

    @pytest.fixture(autouse=True)
    def broker(self, kafka_bootstrap: str) -> None:
        self.bootstrap = kafka_bootstrap

    def url(self, directory: Path) -> str:
        return f"kafka://{self.bootstrap}/consumers-{uuid.uuid4().hex}?partitions={self.partitions}"
