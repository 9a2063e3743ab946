"""The log behind a journal service keeps every promise of the port, over a real server on loopback."""

import itertools
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from journeyman.journal.testing.conformance import LogConformance, ProcessConformance
from journeyman.service.log.routes import ROUTER as LOG
from support.service import service_here

_numbers = itertools.count()


class OverHttp:
    """Each log of a test is served by a service of its own, which ends with the test."""

    always_there = True

    @pytest.fixture(autouse=True)
    def _services(self, tmp_path: Path) -> Iterator[None]:
        self.directory = tmp_path
        with ExitStack() as self.services:
            yield

    def behind(self, partitions: int) -> str:
        """The journal behind the service."""
        return f"sqlite:///{self.directory}/{next(_numbers)}.db"

    def url(self, partitions: int) -> str:
        return self.services.enter_context(service_here(self.behind(partitions)))


class OfTheLogAlone(OverHttp):
    """Services that have the routes of the log alone: to make those of all subjects takes longer than most tests."""

    @pytest.fixture(autouse=True)
    def _routes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("journeyman.service.app.ROUTES", (LOG,))


class TestOverFile(OfTheLogAlone, LogConformance):
    one_clock = True


class TestOverMemoryWithPartitions(OfTheLogAlone, LogConformance):
    partitions = 3

    def behind(self, partitions: int) -> str:
        return f"memory://{uuid.uuid4().hex}?partitions={partitions}"


class TestProcesses(OverHttp, ProcessConformance):
    pass


@pytest.mark.kafka
@pytest.mark.usefixtures("soon_ahead")
class TestOverKafka(OfTheLogAlone, LogConformance):
    partitions = 3

    @pytest.fixture(autouse=True)
    def _broker(self, kafka_bootstrap: str) -> None:
        self.bootstrap = kafka_bootstrap

    def behind(self, partitions: int) -> str:
        return f"kafka://{self.bootstrap}/test-{uuid.uuid4()}?partitions={partitions}"
