"""Programs that end with a journal's file open: all their events are in the database file, where a copy has them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from journeyman.journal import Journal

_LEFT_OPEN = """
import sys
import journeyman as jm

journal = jm.Journal(sys.argv[1])
journal.append("thing.made")
"""

_DROPPED = """
import gc, sys
import journeyman as jm

jm.Journal(sys.argv[1]).append("thing.made")
gc.collect()
"""

_ASYNC = """
import asyncio, sys
import journeyman as jm

async def append():
    await journal.append("thing.made")

journal = jm.AsyncJournal(sys.argv[1])
asyncio.run(append())
"""

_RAISING = _LEFT_OPEN + "raise SystemExit(3)"

_LATE = """
import atexit, sys

atexit.register(lambda: journal.append("thing.made"))
import journeyman as jm

journal = jm.Journal(sys.argv[1])
journal.append("thing.made")
"""


def run(program: str, path: Path) -> int:
    ended = subprocess.run(
        [sys.executable, "-c", program, f"sqlite:///{path}"], capture_output=True, text=True, timeout=60, check=False
    )
    assert not ended.stderr
    return ended.returncode


def copied(path: Path) -> int:
    """How many events a copy of the file alone holds."""
    copy = path.with_name("copy.db")
    shutil.copyfile(path, copy)
    with Journal(f"sqlite:///{copy}") as journal:
        return journal.bounds().end[0]


@pytest.mark.parametrize(
    ("program", "status"),
    [(_LEFT_OPEN, 0), (_DROPPED, 0), (_ASYNC, 0), (_RAISING, 3)],
    ids=["left open", "dropped", "asynchronous", "ends with a status"],
)
def test_end_of_program_moves_wal_into_file(tmp_path: Path, program: str, status: int) -> None:
    path = tmp_path / "shop.db"
    assert run(program, path) == status
    assert copied(path) == 1
    assert not Path(f"{path}-wal").exists()


def test_append_while_program_ends_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    assert run(_LATE, path) == 0
    with Journal(f"sqlite:///{path}") as journal:
        assert journal.bounds().end[0] == 2


def test_end_of_program_leaves_wal_of_others(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with Journal(f"sqlite:///{path}") as journal:
        journal.append("thing.made")
        assert run(_LEFT_OPEN, path) == 0
        assert Path(f"{path}-wal").exists()
        journal.append("thing.made")
    assert copied(path) == 3
