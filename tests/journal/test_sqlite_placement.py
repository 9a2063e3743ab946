"""A journal's file has one name: a mount of the file alone and a hard link are refused."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from journeyman.journal import Journal, NotAJournal
from journeyman.journal.sqlite.placement import mount_points


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A file that is mounted alone, as a container's volume of one file is."""
    source, target = tmp_path / "host" / "a.db", tmp_path / "in a container" / "a.db"
    for each in (source, target):
        each.parent.mkdir()
        each.touch()
    done = subprocess.run(["mount", "--bind", source, target], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a bind mount is not permitted here: {done.stderr.strip()}")
    yield target
    subprocess.run(["umount", target], check=True)


def test_file_mounted_alone_is_refused(mounted: Path) -> None:
    for _ in range(2):  # a file that is still empty, and a journal
        with pytest.raises(NotAJournal, match=f"Mount {mounted.parent}"), Journal(f"sqlite:///{mounted}"):
            pass
        with Journal(f"sqlite:///{mounted.parents[1] / 'host' / 'a.db'}") as journal:
            journal.append("thing.made")


def test_mounted_folder_is_accepted(mounted: Path) -> None:
    source, target = mounted.parents[1] / "host", mounted.parents[1] / "folder"
    target.mkdir()
    subprocess.run(["mount", "--bind", source, target], check=True)
    try:
        with Journal(f"sqlite:///{source}/a.db") as journal:
            journal.append("thing.made")
            program = (
                "import sys; from journeyman.journal import Journal; print(Journal(sys.argv[1]).append('a.b').offset)"
            )
            command = [sys.executable, "-c", program, f"sqlite:///{target}/a.db"]
            assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "1\n"
            assert journal.append("thing.made").offset == 2
    finally:
        subprocess.run(["umount", target], check=True)


def test_hard_link_is_refused(tmp_path: Path) -> None:
    path, link = tmp_path / "a.db", tmp_path / "b.db"
    with Journal(f"sqlite:///{path}") as journal:
        journal.append("thing.made")
    os.link(path, link)
    for each in (path, link):
        with pytest.raises(NotAJournal, match="2 hard links"), Journal(f"sqlite:///{each}"):
            pass
    link.unlink()
    with Journal(f"sqlite:///{path}") as journal:
        assert journal.append("thing.made").offset == 1


def test_escaped_mount_points_are_decoded() -> None:
    text = "36 35 98:0 /mnt1 /mnt/a\\040b\\134.db rw,noatime master:1 - ext3 /dev/root rw\nbroken\n"
    assert mount_points(text) == {"/mnt/a b\\.db"}
