"""Processes that may only read a journal: they see all of it, and leave no trace."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import journeyman as jm
import pytest
from journeyman.journal.sqlite.permission import may_only_read
from ordinary import IS_ROOT, becoming_ordinary, open_directory, ordinary, run_as_ordinary
from support.forks import forker

TASK = "a-task-to-look-at"
ASKING = (
    ("status",),
    ("tail", "--no-follow"),
    ("export", "-"),
    ("why", TASK),
    ("history", TASK),
    ("consumers",),
    ("dlq", "list"),
    ("verify",),
)


@pytest.fixture
def directory() -> Iterator[Path]:
    with open_directory() as directory:
        yield directory


@pytest.fixture
def url(directory: Path) -> str:
    return f"sqlite:///{directory}/shop.db"


def fill(url: str) -> jm.Journal:
    journal = jm.Journal(url)
    jm.Task(lambda x: x, jm.Broker(journal), "look").generate(args=[1], uuid=TASK)
    journal.append("order.paid", {"order": 7})
    return journal


def take_from_ordinary(directory: Path) -> None:
    """Let an ordinary user only read what is in the directory, where that user is not another one anyway."""
    if not IS_ROOT:
        for each in directory.rglob("*"):
            each.chmod(0o555 if each.is_dir() else 0o444)
        directory.chmod(0o555)


def trace(directory: Path) -> list[tuple[str, int, int, int]]:
    """What can be seen of the files in the directory."""
    found = {each: each.lstat() for each in (directory, *directory.rglob("*"))}
    return sorted((str(each), s.st_mtime_ns, s.st_ctime_ns, s.st_size) for each, s in found.items())


def ask(url: str) -> None:
    with forker(becoming_ordinary()) as forks:
        for command in ASKING:
            done = forks.run(*command, "--journal", url, directory=Path("/"))
            out, err = done.stdout.decode(), done.stderr.decode()
            assert done.returncode == 0, (command, err)
            assert "order" in out or "look" in out or command[0] in ("status", "consumers", "dlq", "verify")
            assert "Traceback" not in err


@pytest.mark.timeout(300)
def test_unwritten_journal_is_read_without_a_trace(directory: Path, url: str) -> None:
    fill(url).close()
    take_from_ordinary(directory)
    before = trace(directory)
    ask(url)
    assert trace(directory) == before


@pytest.mark.timeout(300)
@pytest.mark.skipif(not IS_ROOT, reason="a writer beside it has to be another user")
def test_journal_in_use_is_read_without_a_trace(directory: Path, url: str) -> None:
    with fill(url):
        before = trace(directory)
        ask(url)
        assert trace(directory) == before


_FOLLOWS = """
import sys
import journeyman as jm
with jm.Journal(sys.argv[1], create=False) as journal, jm.JournalConsumer(journal, "order") as consumer:
    for _ in range(4):
        print(consumer.poll(60).context_string, flush=True)
"""


@pytest.mark.timeout(120)
@pytest.mark.skipif(not IS_ROOT or shutil.which("setpriv") is None, reason="a writer beside it is another user")
def test_reader_follows_writers_that_come_and_go(directory: Path, url: str) -> None:
    """With no writer the files beside the database are gone, and what one writes afterwards is seen all the same."""
    fill(url).close()
    run_as_ordinary("-c", "pass")
    user, group = ordinary()
    command = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", sys.executable, "-c", _FOLLOWS, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd="/") as reader:
        assert reader.stdout is not None
        try:
            assert reader.stdout.readline() == "order=7\n"
            for order in (8, 9):
                with jm.Journal(url) as journal:
                    journal.append("order.paid", {"order": order})
                assert reader.stdout.readline() == f"order={order}\n"
            with jm.Journal(url) as journal:
                journal.append("order.paid", {"order": 10})
                assert reader.stdout.readline() == "order=10\n"
            assert reader.wait(60) == 0
        finally:
            reader.kill()


def test_missing_write_permission_is_reported_on_a_write(directory: Path, url: str) -> None:
    fill(url).close()
    take_from_ordinary(directory)
    done = run_as_ordinary("-m", "journeyman", "requeue", TASK, "--journal", url, cwd="/")
    assert done.returncode == 1
    assert done.stderr.startswith(f"journeyman: the journal {directory}/shop.db can only be read by this process")
    writing = f"import journeyman as jm\njm.Journal({url!r}).append('order.paid')"
    done = run_as_ordinary("-c", writing, cwd="/")
    assert "NotAJournal" in done.stderr
    assert "To read it only, open it with create=0 in its URL." in done.stderr
    done = run_as_ordinary("-c", writing.replace("shop.db", "shop.db?create=0"), cwd="/")
    assert "JournalReadOnly" in done.stderr


@pytest.mark.timeout(120)
def test_copy_without_a_write_ahead_log_is_read(directory: Path, url: str) -> None:
    with fill(url):
        copied = run_as_ordinary("-m", "journeyman", "--version")
        assert copied.returncode == 0
        subprocess.run(
            [sys.executable, "-m", "journeyman", "backup", str(directory / "copy.db"), "--journal", url],
            check=True,
            capture_output=True,
        )
    copy = directory / "copy.db"
    copy.chmod(0o444)
    take_from_ordinary(directory)
    before = trace(directory)
    done = run_as_ordinary("-m", "journeyman", "why", TASK, "--journal", f"sqlite:///{copy}", cwd="/")
    assert done.returncode == 0, done.stderr
    assert trace(directory) == before


@pytest.mark.timeout(120)
@pytest.mark.skipif(shutil.which("unshare") is None, reason="there is no unshare to mount with")
def test_journal_on_a_read_only_mount_is_read(directory: Path, url: str) -> None:
    fill(url).close()
    mounted = f"mount --bind {directory} {directory} && mount -o remount,bind,ro {directory}"
    unshare = ["unshare", "--mount"] + ([] if IS_ROOT else ["--map-root-user"])
    tried = subprocess.run([*unshare, "sh", "-c", mounted], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"nothing can be mounted here: {tried.stderr.strip()}")
    before = trace(directory)
    command = f"{mounted} && exec {sys.executable} -m journeyman tail --no-follow --journal {url}"
    done = subprocess.run([*unshare, "sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "order=7" in done.stdout
    assert trace(directory) == before


@pytest.mark.skipif(IS_ROOT, reason="the superuser may write everything")
def test_read_only_mode_depends_on_file_and_directory(directory: Path, url: str) -> None:
    fill(url).close()
    path = directory / "shop.db"
    assert not may_only_read(str(path))
    directory.chmod(0o555)
    assert may_only_read(str(path)), "the files beside it cannot be made"
    directory.chmod(0o755)
    path.chmod(0o444)
    assert may_only_read(str(path))
    path.chmod(0o000)
    assert not may_only_read(str(path))


@pytest.mark.skipif(not IS_ROOT, reason="only the superuser looks at the journals of others")
def test_index_made_by_root_belongs_to_the_owner(directory: Path, url: str) -> None:
    with jm.Journal(url) as journal:
        journal.append("order.paid", {"order": 7})
    for each in (directory, directory / "shop.db"):
        os.chown(each, *ordinary())
    with jm.Journal(url) as journal, pytest.raises(KeyError):
        jm.StatusTracker(journal).get(TASK)
    index = (directory / "shop.db-index").stat()
    assert (index.st_uid, index.st_gid) == ordinary()
