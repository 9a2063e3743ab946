"""Programs that end with an open journal whose log needs a loop: they end, without a warning."""

import subprocess
import sys

import pytest

_ENDING = """
import asyncio, sys, threading
from journeyman.journal import Journal
from journeyman.journal.memory.log import MemoryLog
from journeyman.journal.testing import FaultyLog

class LoopBoundLog(FaultyLog):
    needs_loop = True

    async def aclose(self):
        await super().aclose()
        print("closed")

journal = Journal(LoopBoundLog(MemoryLog()))
journal.append("thing.made")
events = journal.tail()
next(events)
if sys.argv[1] == "thread":  # it waits for what never comes
    waits = threading.Event()

    async def for_ever():
        waits.set()
        await asyncio.get_running_loop().create_future()

    threading.Thread(target=lambda: journal.run(for_ever()), daemon=True).start()
    threading.Thread(target=lambda: [event for event in journal.tail()], daemon=True).start()
    waits.wait()
"""


@pytest.mark.parametrize("what", ["tail", "thread"])
def test_program_that_closes_nothing_ends_silently(what: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _ENDING, what], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "closed\n", "")
