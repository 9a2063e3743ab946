"""The context of every measurement: its directory, amount of work, Kafka if available, and progress callback."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from journeyman.bench.size import Size
from journeyman.deploy.kafka import KafkaCluster


class Bench:
    """The context of one run; `close` stops its Kafka and removes its files."""

    def __init__(self, size: Size, scratch: Path, kafka: str | None, progress: Callable[[str], None]) -> None:
        self.size = size
        self.progress = progress
        self._given_kafka = kafka
        self._resources = contextlib.ExitStack()
        # On the disk the caller chose: the system's temporary directory may be memory, where fsync is free.
        scratch.mkdir(parents=True, exist_ok=True)
        self.directory = Path(tempfile.mkdtemp(prefix="bench-", dir=scratch))
        self._resources.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self._bootstrap: str | None = None
        self._topics = 0

    @contextlib.contextmanager
    def file(self, name: str) -> Iterator[Path]:
        """Yield a path for a database, which is removed after the block with all its files."""
        directory = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.directory))
        try:
            yield directory / f"{name}.db"
        finally:
            shutil.rmtree(directory)

    def kafka_servers(self) -> str:
        """The addresses of one broker, started at first use; raises `KafkaUnavailable` where it cannot be."""
        if self._bootstrap is None:
            if self._given_kafka is not None:
                self._bootstrap = self._given_kafka
            else:
                self.progress("starting Kafka")
                self._bootstrap = self._resources.enter_context(KafkaCluster(throughput=True)).bootstrap
        return self._bootstrap

    def kafka_url(self, name: str, partitions: int = 1) -> str:
        """The URL of a new topic."""
        self._topics += 1
        return f"kafka://{self.kafka_servers()}/{self.directory.name}-{name}-{self._topics}?partitions={partitions}"

    def close(self) -> None:
        """Stop Kafka, remove the files."""
        self._resources.close()


def sqlite_url(path: Path) -> str:
    """The URL of the journal in the file at `path`."""
    return f"sqlite:///{path.absolute()}"
