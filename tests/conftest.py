"""Fixtures of all tests: a real Kafka, started once when the first test asks for it."""

import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from journeyman.deploy.kafka import KafkaCluster, KafkaUnavailable, require_kafka

# Tests start hundreds of processes. Where the environment forbids Python to keep what it has compiled, each of them
# compiles the whole package, which takes longer than all else that it does.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# A job that a shell starts in the background ignores SIGINT, and so would the processes that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A property holds however fast the machine is: neither an example nor its generation has a time limit.
settings.register_profile("journeyman", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("journeyman")


# The files that take longest are begun first, the longest of all at once: at the end of a run one of them would hold up
# all. The order of the rest is drawn.
LONGEST: Final = (
    "bench/test_harness.py",
    "service/test_http_log.py",
    "journal/test_sqlite_interrupts.py",
    "topchef/test_listeners.py",
    "deploy/test_kafka_cluster.py",
    "torture/test_torture.py",
    "demo/test_demo.py",
    "journal/test_kafka_three_brokers.py",
    "journal/test_kafka_faults.py",
    "docs/test_site.py",
    "journal/test_kafka.py",
    "consumers/test_interrupted.py",
    "simulation/test_simulation.py",
    "mutate/test_mutate.py",
    "docs/test_tutorial.py",
    "page/test_acting.py",
    "cli/test_encoding.py",
    "workers/test_leaving.py",
    "service/test_ending.py",
    "service/test_event_readers.py",
    "page/test_page.py",
    "cli/test_bad_input.py",
)
TESTS: Final = Path(__file__).parent


def pytest_configure() -> None:
    """Refuse a file in `LONGEST` that was moved: it would be begun at any time."""
    if missing := [name for name in LONGEST if not (TESTS / name).is_file()]:
        raise pytest.UsageError(f"expected the files of LONGEST in tests/conftest.py, found no {', '.join(missing)}")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first, after the order of all was drawn."""
    rank = {TESTS / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


@pytest.fixture(scope="session", autouse=True)
def state_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What this host derives from topics is kept where the tests' other files are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JOURNEYMAN_STATE", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def log_level() -> Iterator[None]:
    """A command that runs in the test's process sets the level of the log: that of the next test is the usual one."""
    logger = logging.getLogger("journeyman")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The loop of asynchronous tests: asyncio's, the one that Journeyman runs on."""
    return "asyncio"


@pytest.fixture(scope="session")
def kafka_can_run() -> None:
    """Skip the test, with a sentence, where there is no Java or Maven; in CI that is a failure."""
    try:
        require_kafka()
    except KafkaUnavailable as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def kafka_cluster(kafka_can_run: None) -> Iterator[KafkaCluster]:
    """One real broker for the whole run."""
    with KafkaCluster(nodes=1) as cluster:
        yield cluster


@pytest.fixture
def soon_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process a Kafka that does not answer is given up soon."""
    for module in ("log", "topic"):
        monkeypatch.setattr(f"journeyman.journal.kafka.{module}.KAFKA_OPEN_SECONDS_MAX", 1.0)


@pytest.fixture
def soon_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process a position ahead of the end counts as another history's soon: the one broker never fails over."""
    for module in ("divergence", "kafka.conditional"):
        monkeypatch.setattr(f"journeyman.journal.{module}.CURSOR_AHEAD_SECONDS_MAX", 0.5)


@pytest.fixture
def shaky(kafka_cluster: KafkaCluster) -> Iterator[KafkaCluster]:
    """That broker, to be hurt: no other test runs in this process meanwhile, and at the end it runs again."""
    yield kafka_cluster
    broker = kafka_cluster.broker(1)
    if broker.paused:
        broker.resume()
    if not broker.running:
        broker.start()
    kafka_cluster.wait_until_ready()


@pytest.fixture(scope="session")
def kafka_bootstrap(kafka_cluster: KafkaCluster) -> str:
    """The address of that broker, host:port."""
    return kafka_cluster.bootstrap
