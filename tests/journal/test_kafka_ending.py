"""Programs that leave a journal on Kafka open: as they end, and as they fork."""

import subprocess
import sys
import uuid

import pytest

pytestmark = pytest.mark.kafka

_QUIETLY = "import logging; logging.getLogger('journeyman').setLevel(logging.ERROR)\n"


@pytest.fixture
def url(kafka_bootstrap: str) -> str:
    return f"kafka://{kafka_bootstrap}/ending-{uuid.uuid4().hex}"


def ran(program: str, *arguments: str) -> tuple[int, str, str]:
    ended = subprocess.run(
        [sys.executable, "-c", _QUIETLY + program, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr


_ENDING = """
import asyncio, gc, sys, threading
import journeyman as jm

url, how = sys.argv[1:]

async def follow():
    journal = jm.AsyncJournal(url)
    await journal.append("thing.made")
    async for event in journal.tail():
        return journal, event

if how == "asyncio":
    journal, _ = asyncio.run(follow())
elif how == "asyncio dropped":
    asyncio.run(follow())
    gc.collect()
elif how == "a loop that stands still":
    loop = asyncio.new_event_loop()
    journal, _ = loop.run_until_complete(follow())
else:
    broker = jm.Broker(url)
    message = jm.Message(task_name="any", uuid="t1")
    broker.submit(message)
    if how == "status":
        jm.StatusTracker(broker.journal).get(message)
    elif how == "tail":
        events = broker.journal.tail()
        next(events)
    elif how == "consumer":
        jm.JournalConsumer(broker.journal).start().poll(60)
    elif how == "thread":
        waits = threading.Thread(target=jm.ResultStore(broker.journal).get, args=(message, 60_000), daemon=True)
        waits.start()
        jm.StatusTracker(broker.journal).get(message)
    elif how == "exit":
        sys.exit(3)
"""
_HOW = ["submit", "status", "tail", "consumer", "thread", "exit"]
_HOW_IN_ASYNCIO = ["asyncio", "asyncio dropped", "a loop that stands still"]


@pytest.mark.parametrize("how", _HOW + _HOW_IN_ASYNCIO)
def test_a_program_that_closes_nothing_ends_and_says_nothing(url: str, how: str) -> None:
    assert ran(_ENDING, url, how) == (3 if how == "exit" else 0, "", "")
