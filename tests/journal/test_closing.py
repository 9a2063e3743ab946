"""Closing a journal under faults: failing, cancelled and garbage-collected ones."""

import asyncio
import gc
import subprocess
import sys
import textwrap
import uuid
from typing import Any

import pytest
from journeyman.journal import AppendInDoubt, AsyncJournal, Journal, JournalGone, draft
from journeyman.journal.memory.log import MemoryLog, MemoryStore
from support.waiting import reached


class CountingLog(MemoryLog):
    """A log in memory that counts how often it was closed."""

    closed = 0

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.closed += 1
        await super().aclose()


class Companion:
    """Something kept with a journal: its end fails, or does not come."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.closed = False
        self.closing = asyncio.Event()

    async def aclose(self) -> None:
        self.closing.set()
        if self.error is not None:
            raise self.error
        self.closed = True


class Endless(Companion):
    """One whose end does not come."""

    async def aclose(self) -> None:
        self.closing.set()
        await asyncio.Event().wait()


async def opened(*companions: Companion) -> tuple[AsyncJournal, CountingLog]:
    log = CountingLog(MemoryStore())
    journal = AsyncJournal(log)
    await journal.open()
    for number, each in enumerate(companions):
        journal.companions[str(number)] = each
    return journal, log


@pytest.mark.anyio
async def test_failing_companion_keeps_neither_others_nor_log_open() -> None:
    companions = [Companion(), Companion(ValueError("no end")), Companion()]
    journal, log = await opened(*companions)
    with pytest.raises(ValueError, match="no end"):
        await journal.aclose()
    assert log.closed == 1
    assert [each.closed for each in companions] == [True, False, True]


@pytest.mark.anyio
async def test_cancelled_close_closes_the_log() -> None:
    endless, other = Endless(), Companion()
    journal, log = await opened(other, endless)
    closing = asyncio.create_task(journal.aclose())
    await endless.closing.wait()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert log.closed == 1
    assert other.closed


def test_failed_close_ends_the_journal_for_sync_code_too() -> None:
    log = CountingLog(MemoryStore())
    journal = Journal(log)
    journal.append("order.paid")

    class Failing:
        async def aclose(self) -> None:
            raise ValueError("no end")

    journal.asynchronous.companions["failing"] = Failing()
    with pytest.raises(ValueError, match="no end"):
        journal.close()
    assert log.closed == 1
    journal.close()


DROPPED = {
    "in a loop that goes on": """
        async def use():
            journal = jm.AsyncJournal(url)
            await journal.append("order.paid")
            async for _ in journal.tail():
                break
        loop = asyncio.new_event_loop()
        loop.run_until_complete(use())
        gc.collect()
        loop.run_until_complete(asyncio.sleep(0.5))
        print(len(asyncio.all_tasks(loop)))
        loop.close()
    """,
    "with its loop": """
        async def use():
            await jm.AsyncJournal(url).append("order.paid")
        def run():
            asyncio.new_event_loop().run_until_complete(use())
        run()
        gc.collect()
        print(0)
    """,
    "by synchronous code": """
        def use():
            jm.Journal(url).append("order.paid")
        use()
        gc.collect()
        print(0)
    """,
}


@pytest.mark.kafka
@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", DROPPED)
def test_dropped_kafka_journal_is_closed_silently(kafka_bootstrap: str, how: str) -> None:
    url = f"kafka://{kafka_bootstrap}/dropped-{uuid.uuid4().hex}"
    program = f"import asyncio, gc, logging\nimport journeyman as jm\nurl = {url!r}\n"
    program += "logging.getLogger('journeyman').setLevel(logging.ERROR)\n" + textwrap.dedent(DROPPED[how])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")


@pytest.mark.kafka
@pytest.mark.timeout(120)
@pytest.mark.anyio
async def test_reader_keeps_its_journal_open(kafka_bootstrap: str) -> None:
    async def follower() -> Any:
        journal = AsyncJournal(f"kafka://{kafka_bootstrap}/kept-by-its-reader")
        await journal.append("order.paid")
        return await journal.follow()

    reader = await follower()
    gc.collect()
    page = await reader.page(timeout=30.0)
    assert page is not None
    await reader.aclose()
    await reader.owner.aclose()


@pytest.mark.kafka
@pytest.mark.timeout(120)
@pytest.mark.anyio
async def test_dead_appender_fails_waiting_callers_and_closes_the_log(
    kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"kafka://{kafka_bootstrap}/dying"
    async with AsyncJournal(url) as journal:
        await journal.append("order.paid")
        log: Any = journal.log
        appender = log._opened.appends._appenders[0]
        sending, wait_for_all = asyncio.Event(), asyncio.Event()

        async def dies(parts: Any) -> Any:
            sending.set()
            await wait_for_all.wait()
            raise ZeroDivisionError("a fault of ours")

        monkeypatch.setattr(appender, "_deliver", dies)
        under_way = draft("order.sent")
        first = asyncio.create_task(journal.append_drafts([under_way]))
        await sending.wait()
        waits = draft("order.returned")
        second = asyncio.create_task(journal.append_drafts([waits]))
        await reached(lambda: len(appender._queue) == 1, "the second append to wait behind the first")
        wait_for_all.set()
        with pytest.raises(AppendInDoubt, match="unexpected ZeroDivisionError: a fault of ours") as doubt:
            await first
        assert doubt.value.drafts == (under_way,)
        with pytest.raises(JournalGone, match="open it again"):
            await second
        with pytest.raises(JournalGone, match="a fault of ours"):
            await journal.append("order.paid")
        assert "Traceback" in caplog.text
    async with AsyncJournal(url) as journal:
        (sent,) = await journal.append_drafts([under_way])
        (returned,) = await journal.append_drafts([waits])
        assert (sent.offset, returned.offset) == (1, 2)
