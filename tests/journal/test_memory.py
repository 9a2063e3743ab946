"""The memory log keeps every promise of the port, in a loop and in a plain thread."""

import uuid

from journeyman.journal import blocking
from journeyman.journal.testing.conformance import LogConformance


class TestInLoop(LogConformance):
    partitions = 4

    def url(self, partitions: int) -> str:
        return f"memory://{uuid.uuid4()}?partitions={partitions}"


class TestInThread(TestInLoop):
    drive = staticmethod(blocking.run)
