"""Bad arguments and failing surroundings give one sentence and an exit status, never a traceback."""

import asyncio
import os
import socket
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from support.sentences import assert_one_sentence

Run = Callable[..., "subprocess.CompletedProcess[str]"]

NO_TASK = "0192f6b1-5c7a-7d31-9f60-3a2b8a4c9d11"


@pytest.fixture
def refused(forked: Run, call: Run) -> Run:
    """Run the command line: in this process, unless the command imports tasks and prepares its process for them."""

    def fork_or_call(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return (forked if arguments[0] == "worker" else call)(*arguments)

    return fork_or_call


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["worker", "shop.tasks", "--journal", "mysql://shop"], "expected a journal's URL"),
        (["worker", "shop.tasks", "--journal", "sqlit:///shop.db"], "Did you mean sqlite://"),
        (["worker", "shop.tasks", "--journal", "sqlite:///shop.db?synk=full"], "Did you mean sync?"),
        (["worker", "shop.tasks"], "JOURNEYMAN_JOURNAL"),
        (["worker", "shop.tasks", "--journal", "memory://"], "lives inside one process"),
        (
            ["worker", "shop.tasks", "--journal", "sqlite:///shop.db", "--subset", "a", "--queues", "b"],
            "give one of them",
        ),
        (["worker", "shop.tasks", "--journal", "sqlite:///shop.db", "--subset", "a=ad"], "did you mean add?"),
        (["worker", "shop.tasks", "--journal", "sqlite:///shop.db", "--subset", "a="], "--subset takes names"),
        (["worker", "shop.tasks", "--journal", "sqlite:///shop.db", "--queue-weights", "a=x"], "--queue-weights takes"),
        (["worker", "shop.tasks", "--journal", "sqlite:///shop.db", "--queue-weights", "a=²"], "--queue-weights takes"),
        (["worker", "shop.tasks", "--journal", "sqlite:///shop.db", "--health", "127.0.0.1:²"], "the port is a number"),
        (["status", "--journal", "kafka://127.0.0.1/t?partitions=²"], "partitions must be a whole number"),
        (["tail", "--journal", "sqlite:///shop.db", "--since", "²m"], "--since takes"),
        (["tail", "--journal", "sqlite:///shop.db", "--cursor", "0:²"], "expected a cursor"),
        (["tail", "--journal", "sqlite:///shop.db", "--cursor", f"0:{'9' * 5_000}"], "expected a cursor"),
        (["worker", "shop.tasks", "--journal", "sqlite:///shop.db", "--queue-weights", "a=2"], "queue_order='fair'"),
        (["worker", "shop.tasks", "--journal", "sqlite:///shop.db", "--mechanism", "process"], "of other mechanisms"),
        (["worker", "shops.tasks", "--journal", "sqlite:///shop.db"], "did you mean shop.tasks?"),
        (
            ["worker", "till.tasks", "--journal", "sqlite:///shop.db"],
            "start it in the directory that holds the package",
        ),
        (["worker", "shop/tasks.py", "--journal", "sqlite:///shop.db"], "did you mean shop.tasks?"),
        (["worker", "empty", "--journal", "sqlite:///shop.db"], "has no tasks"),
        (["worker", "broken", "--journal", "sqlite:///shop.db"], "broken cannot be imported: ZeroDivisionError"),
        (
            ["worker", "leaves", "--journal", "sqlite:///shop.db"],
            "leaves cannot be imported: it calls sys.exit(4) on import",
        ),
        (
            ["worker", "leaving", "--journal", "sqlite:///shop.db"],
            "leaving.late cannot be imported: it calls sys.exit('no')",
        ),
        (["worker", "shop.tasks", "--journal", "sqlite:///shop.db", "--health", ":abc"], "the port is a number"),
        (["worker", "unmet", "--journal", "sqlite:///shop.db"], "it needs no_such_library"),
        (["worker", "shop.tasks", "--queues", "mail,,other"], "--queues takes"),
        (["worker", "shop.tasks", "--threads", "0"], "--threads"),
        (["worker", "shop.tasks", "--lease-ms", "soon"], "--lease-ms"),
        (["worker"], "PACKAGE"),
        (["tail", "--journal", "sqlite:///missing.db"], "there is no journal at"),
        (["tail", "--journal", "sqlite:///missing.db", "--since", "teatime"], "--since takes"),
        (["tail", "--tropic", "task"], "--topic"),
        (["tale"], "Did you mean 'tail'"),
        (["history", NO_TASK, "--journal", "sqlite:///missing.db"], "there is no journal at"),
        (["demo", "--journal", "ftp://shop"], "expected a journal's URL"),
        (["demo", "--journal", "sqlite:///mine.db", "--keep"], "--keep"),
    ],
)
def test_mistyped_command_is_refused_with_a_sentence(
    refused: Run, shop: Path, arguments: list[str], words: str
) -> None:
    (shop / "empty.py").touch()
    (shop / "broken.py").write_text("1 / 0")
    (shop / "leaves.py").write_text("import sys\nsys.exit(4)")
    (shop / "leaving").mkdir()
    (shop / "leaving" / "__init__.py").touch()
    (shop / "leaving" / "late.py").write_text("import sys\nsys.exit('no')")
    (shop / "unmet.py").write_text("import no_such_library")
    assert_one_sentence(refused(*arguments), 2, words)
    assert not list(shop.glob("*.db")), "a mistake must not make a journal"


@pytest.mark.parametrize("command", [["worker", "shop.tasks"], ["tail"], ["history", NO_TASK], ["demo"]])
class TestTheWorldSaysNo:
    """Every command, and every way in which a journal can be unusable."""

    def test_foreign_database_is_named(self, refused: Run, shop: Path, command: list[str]) -> None:
        with closing(sqlite3.connect(shop / "other.db")) as other, other:
            other.execute("CREATE TABLE accounts (id INTEGER)")
        other.close()
        assert_one_sentence(refused(*command, "--journal", "sqlite:///other.db"), 1, "database of another program")

    def test_file_that_is_no_database_is_named(self, refused: Run, shop: Path, command: list[str]) -> None:
        (shop / "notes.txt").write_text("Dear diary, " * 1_000)
        assert_one_sentence(refused(*command, "--journal", "sqlite:///notes.txt"), 1, "is not an SQLite database")

    def test_directory_is_refused(self, refused: Run, command: list[str]) -> None:
        assert_one_sentence(refused(*command, "--journal", "sqlite:///shop"), 1, "is a directory")

    @pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
    def test_file_without_read_permission_is_named(self, refused: Run, shop: Path, command: list[str]) -> None:
        (shop / "theirs.db").touch(0)
        assert_one_sentence(refused(*command, "--journal", "sqlite:///theirs.db"), 1, "no permission")


@pytest.mark.parametrize("command", [["worker", "shop.tasks"], ["tail"]])
def test_missing_broker_is_named(refused: Run, command: list[str], soon_away: None) -> None:
    with socket.socket() as silent:  # bound and not listening: no other program takes the port
        silent.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        done = refused(*command, "--journal", f"kafka://{address}/shop")
    assert_one_sentence(done, 1, "no usable Kafka at", address)


@pytest.mark.kafka
def test_topic_with_retention_is_refused(call: Run, kafka_bootstrap: str) -> None:
    async def make_topic() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
        await admin.start()
        try:
            await admin.create_topics([NewTopic("forgetful", 1, 1, topic_configs={"retention.ms": "604800000"})])
        finally:
            await admin.close()

    asyncio.run(make_topic())
    done = call("tail", "--journal", f"kafka://{kafka_bootstrap}/forgetful")
    assert_one_sentence(done, 1, "forgetful", "retention.ms", "kafka-configs")


@pytest.mark.kafka
def test_missing_topic_is_named(call: Run, kafka_bootstrap: str) -> None:
    """Reading makes none: a name that was misspelt is told from a journal without events."""
    url = f"kafka://{kafka_bootstrap}/misspelt"
    for _ in range(2):
        assert_one_sentence(call("tail", "--journal", url, "--no-follow"), 2, "there is no journal at", "'misspelt'")


def test_unknown_task_is_named(call: Run, shop: Path) -> None:
    import journeyman as jm

    with jm.Journal(f"sqlite:///{shop / 'shop.db'}") as journal:
        journal.append("shop.opened")
    assert_one_sentence(call("history", NO_TASK, "--journal", "sqlite:///shop.db"), 1, f"knows no task {NO_TASK}")
    assert_one_sentence(call("history", "mine", "--journal", "sqlite:///shop.db"), 1, "knows no task mine")


def test_traceback_is_shown_at_log_level_debug(forked: Run, shop: Path) -> None:
    (shop / "broken.py").write_text("1 / 0")
    loud = forked("worker", "broken", "--journal", "sqlite:///shop.db", "--log-level", "debug")
    assert loud.returncode == 2
    assert "Traceback" in loud.stderr
    assert "1 / 0" in loud.stderr


def test_help_names_the_environment_variable_and_an_example(call: Run) -> None:
    for command in ("worker", "tail", "history", "demo"):
        done = call(command, "--help", COLUMNS="120")
        assert done.returncode == 0
        assert f"journeyman {command} " in done.stdout
        assert "JOURNEYMAN_JOURNAL" in done.stdout
        assert "\x1b[" not in done.stdout, "no colours but on a terminal"
