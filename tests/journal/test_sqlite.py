"""The embedded log keeps every promise of the port, in a loop and in a plain thread."""

import itertools
from pathlib import Path

import pytest
from journeyman.journal.runtime import blocking
from journeyman.journal.testing.conformance import LogConformance, ProcessConformance

_numbers = itertools.count()


class TestInLoop(LogConformance):
    one_clock = True

    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path: Path) -> None:
        self.directory = tmp_path

    def url(self, partitions: int) -> str:
        assert partitions == 1
        return f"sqlite:///{self.directory}/{next(_numbers)}.db"


class TestInThread(TestInLoop):
    drive = staticmethod(blocking.run)


class TestProcesses(ProcessConformance):
    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path: Path) -> None:
        self.directory = tmp_path

    def url(self, partitions: int) -> str:
        return f"sqlite:///{self.directory}/{next(_numbers)}.db"


class TestProcessesWithSyncNormal(TestProcesses):
    """The weaker setting may lose appends to a power cut, but never to the end of a process."""

    def url(self, partitions: int) -> str:
        return super().url(partitions) + "?sync=normal"
