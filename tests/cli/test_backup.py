"""`journeyman verify`, `backup` and `restore`: copies that are whole, made and put back while others work."""

import asyncio
import json
import re
import signal
import stat
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiokafka
import apsw
import journeyman as jm
import pytest
from support.waiting import wait_until

Run = Callable[..., "subprocess.CompletedProcess[str]"]

APPEND_FOR_EVER = """
import sys
import uuid
from journeyman.journal import Journal

with Journal(sys.argv[1]) as journal:
    number = 0
    while True:
        journal.append("thing.made", {"number": number})
        journal.append_all([("thing.used", {"number": number})] * 20)
        number += 1
"""
# Kills itself before the given one of the calls that change what names there are in the directory.
KILLED = """
import os, signal, sys

from journeyman.journal import Journal
from journeyman.journal.sqlite.copying import CopyReports, backup, restore

left, command, copy, url = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]

def count(event, arguments):
    global left
    if event in ("os.rename", "os.link", "os.remove", "os.truncate", "os.chmod"):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

def copy_now():
    report = CopyReports(lambda done, all: None, lambda done, all: None)
    if command == "restore":
        restore(copy, url.removeprefix("sqlite:///"), report, force=True)
        return
    with Journal(url) as journal:
        backup(journal.asynchronous.log, copy, report, force=True)

sys.addaudithook(count)
copy_now()
"""


def fill(url: str, count: int = 20) -> None:
    with jm.Journal(url) as journal:
        journal.append_all([("order.paid", {"order": number}, f"k{number % 3}") for number in range(count)])


def numbers(url: str) -> list[int]:
    with jm.Journal(url, create=False) as journal:
        return [event.context["order"] for event in journal.read(limit=10_000).events]


def damage(path: Path, position: int) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE events SET event = replace(event, 'paid', 'lost') WHERE position = ?", (position,))
    connection.close()


def test_verify_reports_sound_and_damaged_parts(call: Run, shop: Path, url: str) -> None:
    fill(url)
    done = call("verify", "--journal", url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"verified {url}: 20 events up to 20")
    assert done.stdout.endswith(", all as they were written\n")
    damage(shop / "shop.db", 5)
    done = call("verify", "--journal", url)
    assert (done.returncode, done.stderr) == (1, "")
    assert "; 1 finding:\n  0:4                  damaged    its checksum does not match\n" in done.stdout
    said = json.loads(call("verify", "--journal", url, "--json").stdout)
    assert (said["sound"], said["records"], said["end"], said["found"]) == (False, 20, "0:20", 1)
    assert said["findings"] == [
        {"kind": "damaged", "partition": 0, "first": 4, "last": 4, "detail": "its checksum does not match"}
    ]


def test_backup_is_a_usable_journal(call: Run, shop: Path, url: str) -> None:
    fill(url)
    done = call("backup", "copy.db", "--journal", url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"copied {url} to copy.db: 20 events up to ")
    assert sorted(each.name for each in shop.iterdir() if each.is_file()) == ["copy.db", "shop.db", "shop.db-lock"]
    with jm.Journal(f"sqlite:///{shop / 'copy.db'}") as journal:
        assert journal.append("order.paid", {"order": 20}).offset == 20
    assert apsw.Connection(str(shop / "copy.db")).pragma("journal_mode") == "wal"
    assert call("verify", "--journal", f"sqlite:///{shop / 'copy.db'}").returncode == 0


def test_backup_replaces_a_file_only_on_request(call: Run, shop: Path, url: str) -> None:
    fill(url)
    (shop / "copy.db").write_text("precious")
    done = call("backup", "copy.db", "--journal", url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "journeyman: copy.db exists already; name another file, or pass --force\n"
    assert (shop / "copy.db").read_text() == "precious"
    said = json.loads(call("backup", "copy.db", "--journal", url, "--force", "--json").stdout)
    assert (said["sound"], said["records"], said["bytes"]) == (True, 20, (shop / "copy.db").stat().st_size)
    assert "is the journal itself" in call("backup", "shop.db", "--journal", url, "--force").stderr


def test_backup_of_a_damaged_journal_reports_the_damage(call: Run, shop: Path, url: str) -> None:
    fill(url)
    damage(shop / "shop.db", 5)
    done = call("backup", "copy.db", "--journal", url)
    assert done.returncode == 1
    assert "1 findings; `journeyman verify --journal sqlite:///copy.db` lists them" in done.stdout
    done = call("restore", "copy.db", "--journal", f"sqlite:///{shop / 'new.db'}")
    assert (done.returncode, (shop / "new.db").exists()) == (1, False)
    assert "copy.db is damaged: 1 findings, the first is 'its checksum does not match'" in done.stderr
    done = call("restore", "copy.db", "--journal", f"sqlite:///{shop / 'new.db'}", "--damaged")
    assert (done.returncode, (shop / "new.db").exists()) == (1, True)


@contextmanager
def busy_writers(url: str) -> Iterator[None]:
    """Two processes that append to the journal without a pause."""
    writers = [subprocess.Popen([sys.executable, "-c", APPEND_FOR_EVER, url]) for _ in range(2)]
    try:
        yield
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()


def test_backups_made_beside_busy_writers_are_prefixes(forked: Run, shop: Path, url: str) -> None:
    records = 0
    with jm.Journal(url) as journal:
        for copy in range(2):
            with busy_writers(url):  # for each copy anew: what they append while it is checked need not be copied next
                least = records + 300
                wait_until(
                    lambda least=least: len(journal.read(limit=least + 1).events) > least,  # type: ignore[misc]
                    "the writers have appended",
                )
                done = forked("backup", f"copy{copy}.db", "--journal", url, "--json")
            assert done.returncode == 0, done.stderr
            records = json.loads(done.stdout)["records"]
            with jm.Journal(f"sqlite:///{shop / f'copy{copy}.db'}", create=False) as copied:
                events = copied.read(limit=records + 1).events
            assert len(events) == records > least
            assert events == journal.read(limit=records).events


def test_restore_makes_the_backup_the_journal(call: Run, shop: Path, url: str) -> None:
    fill(url)
    assert call("backup", "copy.db", "--journal", url).returncode == 0
    fill(url, 3)
    done = call("restore", "copy.db", "--journal", url)
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is a journal at" in done.stderr
    assert "pass --force, which keeps it under another name" in done.stderr
    (shop / "shop.db").chmod(0o640)
    done = call("restore", "copy.db", "--journal", url, "--force")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"restored {url} from copy.db: 20 events up to ")
    assert "cursors and checkpoints behind 0:20 belong to the former journal and are refused\n" in done.stdout
    former = done.stdout.strip().rpartition(" ")[2]
    assert numbers(url) == list(range(20))
    assert numbers(f"sqlite:///{shop / former}") == [*range(20), *range(3)]
    assert stat.S_IMODE((shop / "shop.db").stat().st_mode) == 0o640
    assert not list(shop.glob("*unfinished*"))


def test_process_with_the_replaced_journal_open_gets_an_error(forked: Run, shop: Path, url: str) -> None:
    fill(url)
    assert forked("backup", "copy.db", "--journal", url).returncode == 0
    with jm.Journal(url) as journal:
        journal.append("order.paid", {"order": 20})
        assert forked("restore", "copy.db", "--journal", url, "--force").returncode == 0

        def refused() -> bool:
            try:
                journal.append("order.paid", {"order": -1})
            except jm.JournalGone:
                return True
            return False

        wait_until(refused, "the former journal takes no appends")
    assert numbers(url) == list(range(20))


def test_restore_refuses_a_file_that_is_no_backup(call: Run, shop: Path, url: str) -> None:
    (shop / "text.db").write_text("no database, and long enough to look like one" * 50)
    (shop / "empty.db").touch()
    for name, said in (("text.db", "is not an SQLite database"), ("empty.db", "is empty"), ("no.db", "no file no.db")):
        done = call("restore", name, "--journal", url)
        assert (done.returncode, done.stdout, (shop / "shop.db").exists()) == (1, "", False)
        assert said in done.stderr
    for command in (["backup", "x.db"], ["restore", "x.db"]):
        done = call(*command, "--journal", "kafka://127.0.0.1:9/orders")
        assert done.returncode == 2
        assert "is no file: a backup is the copy of a journal's file. For a topic use `journeyman" in done.stderr


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_restore_killed_at_any_step_loses_nothing(forked: Run, shop: Path, url: str, command: str) -> None:
    copy = shop / "copy.db"
    fill(url)
    assert forked("backup", "copy.db", "--journal", url).returncode == 0
    original, outcomes = copy.read_bytes(), list[int]()
    while not outcomes or outcomes[-1] != 0:
        for each in (*shop.glob("shop.db*"), *shop.glob("copy.db*")):
            if each.is_file():
                each.unlink()
        copy.write_bytes(original)
        fill(url, 25)
        killed = [sys.executable, "-c", KILLED, str(len(outcomes)), command, str(copy), url]
        outcomes.append(subprocess.run(killed, capture_output=True, check=False).returncode)
        copied, there = numbers(f"sqlite:///{copy}"), numbers(url)
        if command == "backup":
            assert (copied, there) in [(list(range(20)), list(range(25))), (list(range(25)), list(range(25)))]
        else:
            assert (copied, there) in [(list(range(20)), list(range(25))), (list(range(20)), list(range(20)))]
            if len(there) == 20:
                (former,) = shop.glob("shop.db.before-*[0-9]")
                assert numbers(f"sqlite:///{former}") == list(range(25))
        assert (shop / "copy.db.unfinished").exists() <= (outcomes[-1] != 0)
    assert len(outcomes) > 3
    assert set(outcomes[:-1]) == {-signal.SIGKILL}


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_leftovers_of_a_killed_copy_are_overwritten(call: Run, shop: Path, url: str, command: str) -> None:
    fill(url)
    assert call("backup", "copy.db", "--journal", url).returncode == 0
    target = "copy.db" if command == "backup" else "shop.db"
    (shop / f"{target}.unfinished").write_text("left by a process that was killed")
    (shop / f"{target}.unfinished-wal").write_text("and its log")
    assert call(command, "copy.db", "--journal", url, "--force").returncode == 0
    assert numbers(f"sqlite:///{shop / target}") == list(range(20))
    assert not list(shop.glob("*unfinished*"))


@pytest.mark.kafka
def test_verify_names_bad_records_on_kafka(call: Run, kafka_bootstrap: str) -> None:
    topic = f"verify-{uuid.uuid4().hex}"
    url = f"kafka://{kafka_bootstrap}/{topic}?partitions=2"
    fill(url)
    done = call("verify", "--journal", url, "--json")
    said = json.loads(done.stdout)
    assert (done.returncode, said["sound"], said["records"]) == (0, True, 20)
    place = int(dict(each.split(":") for each in said["end"].split(","))["1"])
    asyncio.run(produce_foreign(kafka_bootstrap, topic, b"no event", 1))
    done = call("verify", "--journal", url)
    assert (done.returncode, done.stderr) == (1, "")
    assert re.search(rf"^  1:{place} +unreadable +\S", done.stdout, re.MULTILINE)


async def produce_foreign(bootstrap: str, topic: str, value: bytes, partition: int) -> None:
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        await producer.send_and_wait(topic, value, partition=partition)
    finally:
        await producer.stop()
