"""A worker's own events, as it applies them: also if it has read them, and later ones, before their acknowledgement."""

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from journeyman.journal import AsyncJournal
from journeyman.journal.errors import JournalUnavailable
from journeyman.journal.event import Draft, Event
from journeyman.journal.limits import PAGE_EVENTS
from journeyman.journal.log import Page
from journeyman.journal.memory.log import MemoryLog
from journeyman.tasks import Broker, Message, Task, TaskView
from journeyman.tasks.failure_detector import FailureDetector
from journeyman.tasks.state import names
from journeyman.tasks.state.selection import EVERYTHING
from journeyman.workers.executors.pipeline import Job, Outcome
from journeyman.workers.loop.appender import Appender
from journeyman.workers.loop.drafts import WorkerDraft, WorkerFacts, entries_of, outcome_entries
from journeyman.workers.loop.hooks import OutcomeHooks
from journeyman.workers.loop.known_tasks import KnownTasks
from journeyman.workers.loop.reader import JournalReader
from journeyman.workers.loop.sessions import OwnSessions
from journeyman.workers.scheduling.decide import Beat, Claim, Command, Join
from journeyman.workers.settings import WorkerCounts
from support.shop import Shop, Tasks, named

LEASE_MS = 60_000


class Interrupted(MemoryLog):
    """A log that awaits `after()` between an append and its acknowledgement, and may refuse to be read."""

    after: Callable[[], Awaitable[None]] | None = None
    unreadable = False

    async def append(self, drafts: Sequence[Draft]) -> list[Event]:
        events = await super().append(drafts)
        if self.after is not None:
            await self.after()
        return events

    async def read(self, cursor: Mapping[int, int], limit: int = PAGE_EVENTS) -> list[Page]:
        if self.unreadable:
            raise JournalUnavailable("the journal is away")
        return await super().read(cursor, limit)


class Desk:
    """The appender of one worker that has joined, with its view; the test says what it appends."""

    def __init__(self, tasks: Tasks) -> None:
        self.tasks, self.shop, self.counts = tasks, Shop(), WorkerCounts()
        self.log = Interrupted(self.shop.store)
        self.journal = AsyncJournal(self.log)
        self.view, self.detector = TaskView(), FailureDetector(LEASE_MS / 1_000)
        self.reader = JournalReader(self.view, self.detector, LEASE_MS / 1_000)
        self.hooks = OutcomeHooks(tasks)
        self.appender = Appender(
            self.journal, self.reader, self.view, self.detector, LEASE_MS / 1_000, self.counts, self.hooks
        )
        self.sessions = OwnSessions(self.view, [0])
        self.known = KnownTasks(tasks, EVERYTHING)

    async def command(self, command: Command) -> Event:
        entries = entries_of([command], WorkerFacts(self.sessions, self.known, LEASE_MS, 1, {}))
        (event,) = await self.appender.append(entries, self.sessions)
        return event

    async def job(self, prior_attempts: int = 0) -> Job:
        """A task that was submitted and claimed."""
        message = await self.shop.submit(next(iter(self.tasks.values())))
        await self.read()
        task = self.view.live[message.uuid]
        claim = await self.command(Claim(task))
        assert task.claim == claim.offset
        row = await self.reader.page_at(0, task.submitted, 1)
        assert row is not None
        return Job(task, self.sessions[0], claim.offset, row.rows[0], prior_attempts)

    async def end(self, outcome: Outcome) -> list[WorkerDraft]:
        """Append the outcome of a job."""
        entries = outcome_entries(outcome, self.log.partition_of)
        await self.appender.append(entries, self.sessions)
        return entries

    async def read(self) -> None:
        await self.reader.read_what_came(look=True)

    def meanwhile(self, *events: tuple[str, dict[str, Any]]) -> None:
        """Have these events of others land, and be read, before the next append is acknowledged."""

        async def land() -> None:
            self.log.after = None
            for name, context in events:
                await self.shop.say(name, context.get("task") or context.get("worker"), **context)
            await self.read()

        self.log.after = land

    def expiry(self) -> tuple[str, dict[str, Any]]:
        """The expiry of its session by another worker."""
        (session,) = self.view.all_sessions()
        return names.EXPIRED, {"worker": session.worker, "last": session.last, "by": "another"}


@asynccontextmanager
async def desk(tasks: Tasks | None = None) -> AsyncIterator[Desk]:
    here = Desk(tasks or named(work=lambda: 1))
    end = await here.reader.open(here.journal)
    try:
        await here.reader.read_up_to(end)
        await here.command(Join(0))
        yield here
    finally:
        await here.appender.aclose()
        await here.reader.aclose()


def counted(counts: WorkerCounts) -> dict[str, int]:
    """The outcomes among the counts that are not 0."""
    kinds = ("succeeded", "retried", "failed", "interrupted", "refused")
    return {kind: getattr(counts, kind) for kind in kinds if getattr(counts, kind)}


# -- what was accepted -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read_before", [False, True])
@pytest.mark.parametrize(
    ("name", "count"),
    [
        (names.SUCCEEDED, "succeeded"),
        (names.RETRIED, "retried"),
        (names.FAILED, "failed"),
        (names.INTERRUPTED, "interrupted"),
    ],
)
@pytest.mark.anyio
async def test_accepted_outcome_is_counted_by_its_name(name: str, count: str, read_before: bool) -> None:
    async with desk() as here:
        job = await here.job()
        if read_before:
            here.meanwhile()
        await here.end(Outcome(job, name))
        assert counted(here.counts) == {count: 1}
        assert here.reader.position == {0: len(here.shop.events())}


@pytest.mark.anyio
async def test_outcome_is_accepted_though_its_task_has_moved_on() -> None:
    async with desk() as here:
        job = await here.job()
        await here.shop.say(names.JOINED, "other", worker="other", lease_ms=LEASE_MS)
        await here.read()
        here.meanwhile((names.CLAIMED, {"task": job.state.id, "worker": "other"}))
        await here.end(Outcome(job, names.RETRIED))
        assert here.view.live[job.state.id].worker == "other"
        assert counted(here.counts) == {"retried": 1}


@pytest.mark.anyio
async def test_outcome_behind_an_expiry_is_refused_though_read_before(caplog: pytest.LogCaptureFixture) -> None:
    async with desk() as here:
        job = await here.job()
        await here.shop.say(names.JOINED, "other", worker="other", lease_ms=LEASE_MS)
        await here.shop.say(here.expiry()[0], here.sessions.worker, **here.expiry()[1])
        here.meanwhile((names.CLAIMED, {"task": job.state.id, "worker": "other"}))
        await here.end(Outcome(job, names.SUCCEEDED))
        assert here.view.live[job.state.id].worker == "other"
    assert counted(here.counts) == {"refused": 1}
    assert f"{names.SUCCEEDED} of task {job.state.id} was refused" in caplog.text


@pytest.mark.anyio
async def test_outcome_of_a_lost_claim_is_refused_though_read_before() -> None:
    async with desk() as here:
        job = await here.job()
        await here.shop.say(here.expiry()[0], here.sessions.worker, **here.expiry()[1])
        here.meanwhile()
        await here.end(Outcome(job, names.SUCCEEDED))
        assert counted(here.counts) == {"refused": 1}


@pytest.mark.anyio
async def test_lease_is_renewed_from_the_beginning_of_an_append() -> None:
    async with desk() as here:
        before = time.monotonic()
        await here.command(Beat(0))
        assert before <= here.sessions[0].acknowledged_at <= time.monotonic()
        assert here.counts.appends == 2


@pytest.mark.parametrize("probe", [False, True])
@pytest.mark.anyio
async def test_only_probes_prove_that_the_journal_works(probe: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async with desk() as here:
        proved = list[int]()
        monkeypatch.setattr(here.detector, "probed", proved.append)
        await here.command(Beat(0, probe))
        assert proved == [0] * probe


@pytest.mark.anyio
async def test_slow_append_is_told_of(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    async with desk() as here:
        assert not caplog.records
        here.appender._lease_seconds = 0.0
        await here.command(Beat(0))
        assert "that time does not count as silence" in caplog.text


@pytest.mark.anyio
async def test_failure_is_logged_with_the_attempts_at_its_time(caplog: pytest.LogCaptureFixture) -> None:
    detail = b',"exception":{"name":"E","text":"no","traceback":"E: no"}'
    async with desk() as here:
        for name in (names.RETRIED, names.FAILED):
            await here.end(Outcome(await here.job(prior_attempts=2), name, detail))
    assert [record.getMessage().split(", ")[1] for record in caplog.records] == ["after 3 attempts: E: no"] * 2


@pytest.mark.anyio
async def test_success_is_told_of_at_debug_alone(caplog: pytest.LogCaptureFixture) -> None:
    for level in (logging.INFO, logging.DEBUG):
        caplog.set_level(level, "journeyman.worker")
        async with desk() as here:
            await here.end(Outcome(await here.job(), names.SUCCEEDED))
        assert ("has succeeded" in caplog.text) == (level == logging.DEBUG)


# -- hooks -----------------------------------------------------------------------------------------------------------


class Noting(Task[Any, Any]):
    """Notes the calls of its hooks."""

    calls: list[str]

    def on_success(self, message: Message, result: object) -> None:
        self.calls.append("on_success")

    def on_retry(self, message: Message, exception: BaseException) -> None:
        self.calls.append("on_retry")

    def on_revocation(self, message: Message, exception: BaseException | None, result: object) -> None:
        self.calls.append("on_revocation")


def noting() -> dict[str, Noting]:
    def work() -> int:
        return 1

    task = Noting(work, Broker("memory://"), "work", backoff=None)
    task.calls = []
    return {"work": task}


@pytest.mark.parametrize(("name", "hook"), [(names.SUCCEEDED, "on_success"), (names.RETRIED, "on_retry")])
@pytest.mark.anyio
async def test_hook_of_an_accepted_outcome_is_called_once(name: str, hook: str) -> None:
    tasks = noting()
    async with desk(tasks) as here:
        await here.end(Outcome(await here.job(), name))
    assert tasks["work"].calls == [hook]


@pytest.mark.anyio
async def test_hook_of_a_refused_outcome_is_not_called() -> None:
    tasks = noting()
    async with desk(tasks) as here:
        job = await here.job()
        await here.shop.say(here.expiry()[0], here.sessions.worker, **here.expiry()[1])
        await here.end(Outcome(job, names.SUCCEEDED))
        assert counted(here.counts) == {"refused": 1}
    assert tasks["work"].calls == []


@pytest.mark.parametrize(
    ("hooks", "away", "called"),
    [(None, False, True), (True, False, True), (False, False, False), (False, True, True)],
)
@pytest.mark.anyio
async def test_revocation_has_its_hook_called_unless_it_says_so(hooks: bool | None, away: bool, called: bool) -> None:
    tasks = noting()
    async with desk(tasks) as here:
        job = await here.job()
        said = {} if hooks is None else {"hooks": hooks}
        await here.shop.say(names.REVOKED, job.state.id, task=job.state.id, **said)
        await here.read()
        here.log.unreadable = away
        await here.end(Outcome(job, names.SUCCEEDED))
        assert counted(here.counts) == {"refused": 1}
    assert tasks["work"].calls == ["on_revocation"] * called


@pytest.mark.anyio
async def test_hook_is_called_if_the_revocation_is_gone() -> None:
    tasks = noting()
    async with desk(tasks) as here:
        job = await here.job()
        await here.shop.say(names.REVOKED, job.state.id, task=job.state.id, hooks=False)
        await here.read()
        await here.log.trim({0: len(here.shop.events())})
        await here.end(Outcome(job, names.SUCCEEDED))
    assert tasks["work"].calls == ["on_revocation"]
