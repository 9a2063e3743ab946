"""Programs that leave a journal on Kafka open: as they end, and as they fork."""

import asyncio
import subprocess
import sys
import uuid
from typing import Any

import pytest
from journeyman.journal.kafka.client import make_producer, stop_producer
from journeyman.journal.kafka.connection import Connection
from journeyman.journal.kafka.limits import TOPIC_MESSAGE_BYTES_MIN
from support.waiting import reached

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
def test_program_that_closes_nothing_ends_silently(url: str, how: str) -> None:
    assert ran(_ENDING, url, how) == (3 if how == "exit" else 0, "", "")


def test_producer_stops_when_no_host_name_can_be_looked_up(kafka_bootstrap: str) -> None:
    host, _, port = kafka_bootstrap.partition(":")

    async def test() -> None:
        producer: Any = make_producer(Connection(((host, int(port)),)), TOPIC_MESSAGE_BYTES_MIN)
        await producer.start()
        client = producer.client
        brokers = client.cluster._brokers
        brokers.update({each: broker._replace(host="localhost") for each, broker in brokers.items()})
        # As the interpreter does first when it exits; asyncio looks host names up in this executor.
        await asyncio.get_running_loop().shutdown_default_executor()
        for connection in list(client._conns.values()):
            connection.close()
        client.force_metadata_update()
        await reached(client._sync_task.done, "the metadata task ends")
        await stop_producer(producer)
        assert client._sync_task is None
        assert not any(connection.connected() for connection in client._conns.values())

    asyncio.run(test())


_FORKING = """
import gc, os, sys, threading, warnings
import journeyman as jm

warnings.simplefilter("ignore", DeprecationWarning)  # to fork beside threads is what is asked of it
journal, unused = jm.Journal(sys.argv[1]), jm.Journal(sys.argv[1])
journal.append("parent.before")
if sys.argv[2] == "busy":  # a thread appends while the process forks
    threading.Thread(target=lambda: [journal.append("parent.beside") for _ in range(300)], daemon=True).start()
tail = journal.tail()
while next(tail).name != "parent.before":
    pass
children = []
for number in range(3):
    child = os.fork()
    if not child:
        try:
            next(jm.Journal(sys.argv[1]).tail())
            for each in range(5):
                journal.append(f"child.n{number}", {"each": each})
                unused.append(f"child.m{number}", {"each": each})
            tail.close()
            del tail
            gc.collect()
            if number == 1:
                journal.close()
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)
        sys.exit(0)  # not _exit: what was inherited must survive the end of the interpreter, too
    children.append(child)
assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
journal.append("parent.after")
names = {"parent.before"}
while "parent.after" not in names:
    names.add(next(tail).name)
events = journal.read({0: 0}, 10_000).events
assert names >= {f"child.{kind}{number}" for kind in "nm" for number in range(3)}, names
for name in [f"child.{kind}{number}" for kind in "nm" for number in range(3)]:
    assert [event.context["each"] for event in events if event.name == name] == list(range(5)), name
writers = {event.name: event.writer for event in events}
assert len({writer[15:] for writer in writers.values()}) == 7, writers  # not by their times alone
assert writers["parent.before"] == writers["parent.after"]
print("well")
"""


@pytest.mark.parametrize("how", ["idle", "busy"])
@pytest.mark.skipif(sys.version_info >= (3, 12) and sys.platform == "darwin", reason="forking beside threads")
def test_forked_child_leaves_parent_connections_alone(url: str, how: str) -> None:
    assert ran(_FORKING, url, how) == (0, "well\n", "")


_FORKING_BESIDE_A_WAIT = """
import os, sys, threading, warnings
import journeyman as jm

warnings.simplefilter("ignore", DeprecationWarning)
broker = jm.Broker(sys.argv[1])
one, other = (jm.Message(task_name="any", uuid=name) for name in ("t1", "t2"))
broker.submit(one)
tracker, results = jm.StatusTracker(broker.journal), jm.ResultStore(broker.journal)
tracker.get(one)
threading.Thread(target=results.get, args=(one, 60_000), daemon=True).start()
child = os.fork()
if not child:
    broker.submit(other)
    assert tracker.get(other).status is jm.TaskStatus.SUBMITTED
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert tracker.get(other).status is jm.TaskStatus.SUBMITTED
print("well")
"""


@pytest.mark.skipif(sys.version_info >= (3, 12) and sys.platform == "darwin", reason="forking beside threads")
def test_child_forked_during_a_result_wait_reads_statuses(url: str) -> None:
    assert ran(_FORKING_BESIDE_A_WAIT, url) == (0, "well\n", "")


_FORKING_A_LOG = """
import asyncio, os, sys
import journeyman as jm
from journeyman.journal import JournalUnavailable, log_from_url

async def main():
    log = log_from_url(sys.argv[1])
    await log.open()
    tail = await log.tail((await log.bounds()).first)
    child = os.fork()
    if not child:
        for use in (log.open(), log.bounds(), tail.page()):
            try:
                await use
            except JournalUnavailable as error:
                assert "was forked" in str(error), error
            else:
                os._exit(1)
        await tail.aclose()
        await log.aclose()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert await tail.page(timeout=0) is None
    await log.aclose()

asyncio.run(main())
print("well")
"""


def test_log_and_reader_are_refused_in_a_forked_child(url: str) -> None:
    assert ran(_FORKING_A_LOG, url) == (0, "well\n", "")


_SECOND_LOOP = """
import asyncio, sys, time
import journeyman as jm

journal = jm.AsyncJournal(sys.argv[1])
asyncio.run(journal.append("thing.made"))

async def use(call):
    begun = time.monotonic()
    try:
        await call()
    except jm.JournalClosed as error:
        print(type(error).__name__, "event loop that has been closed" in str(error))

asyncio.run(use(lambda: journal.append("thing.made")))
asyncio.run(use(journal.bounds))
asyncio.run(use(journal.read))
"""


def test_journal_of_an_ended_loop_is_refused_at_once(url: str) -> None:
    code, out, err = ran(_SECOND_LOOP, url)
    assert (code, out) == (0, "JournalClosed True\n" * 3), err
