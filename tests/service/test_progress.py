"""The judgement of a service whose journal fails or hangs, or that does not follow it; and a stop during its start."""

import asyncio
import threading

import anyio
import pytest
from journeyman.journal.async_journal import AsyncJournal
from journeyman.journal.errors import JournalUnavailable
from journeyman.journal.log import Log
from journeyman.journal.testing.faults import Fault, FaultyLog
from journeyman.journal.url import log_from_url
from journeyman.service.backend import Backend
from journeyman.service.operation import progress as module
from journeyman.service.operation.progress import ReplicaProgress
from journeyman.service.server import ServiceServer
from journeyman.service.settings import Settings
from support.waiting import wait_until

pytestmark = pytest.mark.anyio


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica that has not moved since the last look stands still, and a hanging journal is waited for shortly."""
    monkeypatch.setattr(module, "PROGRESS_SECONDS_MAX", 0.0)
    monkeypatch.setattr(module, "CURRENT_SECONDS_MAX", 0.2)


def _faulty() -> FaultyLog:
    return FaultyLog(log_from_url("memory://"))


async def test_idle_service_makes_progress(impatient: None) -> None:
    backend = Backend(AsyncJournal("memory://"))
    async with backend.running():
        probe = ReplicaProgress(backend)
        await backend.journal.append("thing.made")
        await backend.replica.catch_up()
        assert [await probe.standing_still() for _ in range(3)] == [(), (), ()], "nothing waits to be applied"
        assert await probe.not_ready() == []


async def test_replica_that_does_not_follow_is_no_progress(impatient: None) -> None:
    async with AsyncJournal("memory://") as journal:
        backend = Backend(journal)  # and nothing that follows the journal
        await backend.replica.catch_up()
        probe = ReplicaProgress(backend)
        await probe.standing_still()
        await journal.append("thing.made")
        await probe.standing_still()
        (reason,) = await probe.standing_still()
        assert "the applied position has not moved" in reason
        await backend.replica.aclose()


async def test_failed_append_is_unready_until_one_succeeds() -> None:
    log = _faulty()
    backend = Backend(AsyncJournal(log))
    async with backend.running():
        probe = ReplicaProgress(backend)
        assert await probe.not_ready() == []
        log.choose = lambda operation: Fault.UNAVAILABLE if operation == "append" else None
        with pytest.raises(JournalUnavailable):
            await backend.journal.append("thing.made")
        assert await probe.not_ready() == ["the journal has not taken the last append"]
        log.choose = lambda _: None
        await backend.journal.append("thing.made")
        assert await probe.not_ready() == []


async def test_journal_that_does_not_answer_is_unready(impatient: None) -> None:
    hanging, gate = _faulty(), asyncio.Event()
    backend = Backend(AsyncJournal(hanging))
    async with backend.running():

        async def hang(operation: str) -> None:
            if operation == "bounds":
                await gate.wait()

        hanging.delay = hang
        (reason,) = await ReplicaProgress(backend).not_ready()
        assert "has not read up to the end of the journal" in reason
        assert await ReplicaProgress(backend).standing_still() == ()
        gate.set()


def test_service_can_be_stopped_while_it_reads_its_history() -> None:
    reading, hang = threading.Event(), anyio.Event

    class Hanging(FaultyLog):
        def __init__(self, log: Log) -> None:
            async def delay(operation: str) -> None:
                if operation == "page":
                    reading.set()
                    await hang().wait()

            super().__init__(log, delay=delay)

    async def run() -> None:
        inner = log_from_url("memory://")
        async with AsyncJournal(inner) as journal:
            await journal.append("thing.made")
            service = ServiceServer(AsyncJournal(Hanging(inner)), Settings(port=0))
            ready: list[str] = []
            serving = asyncio.ensure_future(service.run(ready.append))
            await asyncio.to_thread(wait_until, reading.is_set, "the history to be read")
            service.stop()
            await asyncio.wait_for(serving, 60)
            assert not ready

    asyncio.run(run())
