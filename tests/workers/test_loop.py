"""The worker loop on a journal in memory: sessions end, journals fail, results are large, work is long."""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from journeyman.journal import AsyncJournal
from journeyman.journal.event import Draft, Event
from journeyman.journal.memory.log import MemoryLog
from journeyman.journal.testing.faults import Fault, FaultyLog
from journeyman.tasks import Message, State, ValidationError
from journeyman.tasks.limits import LEASE_MS_MIN
from journeyman.tasks.state import names
from journeyman.tasks.submitting import submission
from journeyman.workers import Settings, WorkerLoop
from journeyman.workers.limits import (
    FAILURE_LINES_MAX,
    STEAL_DELAY_APPENDS,
    STEAL_DELAY_SECONDS,
    STEAL_DELAY_SECONDS_MAX,
)
from journeyman.workers.loop import failure_log, lane
from journeyman.workers.scheduling.rendezvous import Rendezvous
from support.shop import LEASE_MS, RepeatingLog, Shop, named
from support.waiting import reached, wait_until

QUICK = Settings(threads=4, lease_ms=LEASE_MS)


class Gate:
    """A task's body that says that it runs and waits to be let through."""

    def __init__(self) -> None:
        self.entered = 0
        self.doors: list[threading.Event] = []

    def __call__(self, *_: object) -> int:
        door = threading.Event()
        self.doors.append(door)
        self.entered += 1
        assert door.wait(60), "the test forgot to open"
        return self.entered

    def open(self) -> None:
        for door in self.doors:
            door.set()


def threads(worker: WorkerLoop) -> lane.Lane:
    """Its lane of threads."""
    return worker._lanes["thread"]


class Interposed(MemoryLog):
    """A log in which something else lands just before an append that the test picks."""

    def __init__(self, floor: Shop, before: Callable[[Sequence[Draft]], Awaitable[None]]) -> None:
        super().__init__(floor.store)
        self.before = before

    async def append(self, drafts: Sequence[Draft]) -> list[Event]:
        await self.before(drafts)
        return await super().append(drafts)


# -- sessions --------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_claim_after_the_end_of_its_session_is_repeated() -> None:
    floor, tasks = Shop(), named(work=lambda: 1)
    ended: list[str] = []

    async def end_the_session(drafts: Sequence[Draft]) -> None:
        if not ended and any(draft.name == names.CLAIMED for draft in drafts):
            (session,) = floor.view().all_sessions()
            ended.append(session.worker)
            await floor.say(names.EXPIRED, worker=session.worker, last=session.last, by="another")

    async with floor.worker(tasks, QUICK, log=Interposed(floor, end_the_session)) as worker:
        message = await floor.submit(tasks["work"])
        await floor.succeeded(1)
        assert worker.counts.lost_claims == 1
    assert floor.task(message).attempts == 1


@pytest.mark.anyio
async def test_expired_session_is_replaced_and_its_outcome_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    floor, gate = Shop(), Gate()
    tasks = named(work=gate)
    with caplog.at_level(logging.WARNING, "journeyman.worker"):
        async with floor.worker(tasks, QUICK) as worker:
            message = await floor.submit(tasks["work"])
            await reached(lambda: gate.entered == 1, "the task to run")
            old = worker.worker
            session = next(iter(floor.view().all_sessions()))
            await floor.say(names.EXPIRED, worker=old, last=session.last, by="another")
            await reached(lambda: gate.entered == 2, "the task to run again, under the new session")
            assert worker.worker != old

            gate.doors[0].set()
            await floor.finished(names.SUCCEEDED, 1)
            await reached(lambda: worker.counts.refused == 1, "the late outcome to be refused")
            assert floor.task(message).state is State.CLAIMED
            assert threads(worker).busy, "the second run is still in hand"

            gate.doors[1].set()
            await floor.finished(names.SUCCEEDED, 2)
    assert floor.task(message).state is State.SUCCEEDED
    assert floor.view().stale_outcomes == 1
    assert worker.counts.succeeded == 1
    assert "was refused" in caplog.text
    assert "joining with a new one" in caplog.text


@pytest.mark.anyio
async def test_claims_of_a_vanished_worker_are_taken_over() -> None:
    floor, gate = Shop(), Gate()
    tasks = named(work=gate)
    _, running = await floor.start(tasks, QUICK)
    message = await floor.submit(tasks["work"])
    await reached(lambda: gate.entered == 1, "the first worker to run it")
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    async with floor.worker(named(work=lambda: "second"), QUICK) as second:
        await floor.succeeded(1)
        assert second.counts.expired_sessions == 1
    assert floor.task(message).attempts == 2
    assert floor.view().takeovers == 1
    assert floor.count(names.EXPIRED) == 1
    gate.open()


@pytest.mark.anyio
async def test_live_worker_with_a_long_task_is_never_expired() -> None:
    floor, gate = Shop(), Gate()
    tasks = named(work=gate)
    async with floor.worker(tasks, Settings(threads=1, lease_ms=LEASE_MS_MIN)):
        await floor.submit(tasks["work"])
        await reached(lambda: gate.entered == 1, "the task to run")
        async with floor.worker(named(other=lambda: 1), QUICK):
            await floor.finished(names.BEAT, 6)  # two leases, renewed at each third
            assert floor.count(names.EXPIRED) == 0
        gate.open()
        await floor.succeeded(1)


@pytest.mark.anyio
async def test_idle_worker_appends_nothing_and_sets_no_timer() -> None:
    floor, tasks = Shop(partitions=3), named(work=lambda: 1)
    async with floor.worker(tasks, QUICK) as worker:
        for _ in range(6):
            await floor.submit(tasks["work"])
        await floor.succeeded(6)
        await reached(lambda: not threads(worker).busy, "the worker to have nothing in hand")
        before = len(floor.events())
        await reached(lambda: worker._reader.waits and worker._pause() is None, "the worker to sleep")
        assert len(floor.events()) == before


@pytest.mark.anyio
async def test_worker_does_not_spin_after_stealing() -> None:
    floor, tasks = Shop(), named(work=lambda: 1)
    await floor.say(names.JOINED, worker="ghost", lease_ms=1_000)
    async with floor.worker(tasks, QUICK) as worker:
        theirs = 0
        while theirs < 3:
            message = await floor.submit(tasks["work"])
            theirs += Rendezvous("ghost", ["ghost", worker.worker]).place(message.uuid) == 0
        await reached(lambda: floor.count(names.SUCCEEDED) == floor.count(names.SUBMITTED), "all to be done")
        await reached(lambda: worker._reader.waits and worker._pause() is None, "the worker to sleep")


@pytest.mark.anyio
async def test_sessions_of_dead_workers_delay_nothing_for_long() -> None:
    floor, tasks = Shop(), named(work=lambda: 1)
    for number in range(30):
        await floor.say(names.JOINED, worker=f"ghost-{number}", lease_ms=1_000, host="elsewhere", pid=1)
    async with floor.worker(tasks, QUICK) as worker:
        ready = threads(worker).ready
        while len(ready._absent) < 30:
            await floor.submit(tasks["work"])
            await reached(lambda: floor.count(names.SUCCEEDED) == floor.count(names.SUBMITTED), "it to be done")
        assert ready._workers == {0: (worker.worker,)}


@pytest.mark.anyio
async def test_only_partitions_with_claims_are_renewed() -> None:
    floor, gate = Shop(partitions=4), Gate()
    tasks = named(work=gate)
    async with floor.worker(tasks, QUICK) as worker:
        message = await floor.submit(tasks["work"])
        await reached(lambda: gate.entered == 1, "the task to run")
        await reached(lambda: worker._reader.waits, "the worker to wait")
        for place, own in worker._sessions.leases.items():
            if place != floor.task(message).partition:
                own.acknowledged_at -= 1_000
        assert (worker._pause() or 0) > 0
        gate.open()
    assert {event.partition for event in floor.events(names.BEAT)} <= {floor.task(message).partition}


@pytest.mark.anyio
async def test_draining_worker_does_not_spin() -> None:
    floor, gate = Shop(), Gate()
    tasks = named(work=gate)
    worker, running = await floor.start(tasks, Settings(threads=2, lease_ms=60_000, drain_seconds=500))
    await floor.submit(tasks["work"])
    await reached(lambda: gate.entered == 1, "the task to run")
    worker.stop()
    delayed = await floor.submit(tasks["work"], delay=1)
    await reached(lambda: worker.view.find(delayed.uuid) is not None, "the delayed task to be seen")
    await reached(lambda: worker._reader.waits and (worker._pause() or 0) > 0, "the worker to wait")
    gate.open()
    await asyncio.wait_for(running, 60)
    assert floor.task(delayed).state is State.READY


# -- journals that fail ----------------------------------------------------------------------------------------------


class Outage:
    """A fault chooser that a test switches on and off, and that counts."""

    def __init__(self, *operations: str, fault: Fault = Fault.UNAVAILABLE) -> None:
        self.operations = operations
        self.fault = fault
        self.on = False
        self.faults = 0

    def __call__(self, operation: str) -> Fault | None:
        if not self.on or operation not in self.operations:
            return None
        self.faults += 1
        return self.fault


async def passed(seconds: float) -> None:
    """Wait until a lease has really run out, by the clock that leases go by."""
    end = time.monotonic() + seconds
    await reached(lambda: time.monotonic() > end, f"{seconds} s to pass without a journal")


@pytest.mark.anyio
async def test_journal_outage_beyond_the_lease_costs_no_claims() -> None:
    floor, gate, away = Shop(), Gate(), Outage("append", "page")
    tasks = named(work=gate)
    settings = Settings(threads=1, lease_ms=LEASE_MS_MIN)
    async with floor.worker(tasks, settings, log=FaultyLog(MemoryLog(floor.store), away)) as holder:
        message = await floor.submit(tasks["work"])
        await reached(lambda: gate.entered == 1, "the task to run")
        other = FaultyLog(MemoryLog(floor.store), away)
        async with floor.worker(named(other=lambda: 1), settings, log=other) as watcher:
            for _ in range(3):
                await reached(lambda: watcher._watch._holders_to_watch, "the watcher to watch")
                away.on, away.faults = True, 0
                await passed(2 * LEASE_MS_MIN / 1_000)
                away.on = False
                beats = floor.count(names.BEAT)
                await floor.finished(names.BEAT, beats + 4)
            assert away.faults > 5
        gate.open()
        await floor.succeeded(1)
        assert holder.counts.refused == 0
    assert floor.count(names.EXPIRED) == 0
    assert floor.task(message).attempts == 1


@pytest.mark.anyio
async def test_slow_appends_delay_stealing() -> None:
    floor, tasks, begun = Shop(), named(work=lambda: 1), time.monotonic()
    async with floor.worker(tasks, QUICK) as worker:
        await floor.submit(tasks["work"])
        await floor.succeeded(1)
        assert 0 < worker._appending.seconds < time.monotonic() - begun
        expected = {0.01: 0.01 * STEAL_DELAY_APPENDS, 9.0: STEAL_DELAY_SECONDS_MAX, 0.0: STEAL_DELAY_SECONDS}
        for took, delay in expected.items():
            worker._appending.seconds = took

            def followed(delay: float = delay) -> bool:
                worker._wake()
                return threads(worker).ready.steal_delay == delay

            await reached(followed, "the delay to follow")


@pytest.mark.anyio
async def test_timeouts_are_kept_while_the_journal_is_away() -> None:
    floor, gate, away = Shop(), Gate(), Outage("append")
    stopped = asyncio.Event()

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    tasks = named(work=gate, wait=wait)
    tasks["wait"].timeout, tasks["wait"].max_retries = 2_000, 0
    async with floor.worker(tasks, QUICK, log=FaultyLog(MemoryLog(floor.store), away)):
        await floor.submit(tasks["work"])
        await reached(lambda: gate.entered == 1, "the first task to run")
        late = await floor.submit(tasks["wait"])
        await reached(lambda: floor.task(late).state is State.CLAIMED, "the other to be claimed")
        away.on = True
        gate.open()  # the outcome of which is what the worker is busy to write from here on
        await reached(lambda: away.faults > 0, "an append to fail")
        await reached(stopped.is_set, "the other task to be stopped all the same")
        away.on = False
        await floor.finished(names.FAILED)
        assert "TaskTimeoutError" in floor.events(names.FAILED)[0].context["exception"]["name"]


def fail(number: int = 0) -> None:
    raise ValueError(f"no such\nnumber: {number}\x1b[2J")


def lines(caplog: pytest.LogCaptureFixture, words: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if words in record.getMessage()]


@pytest.mark.anyio
async def test_failure_and_retry_are_logged_with_their_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "journeyman.worker")
    floor, tasks = Shop(), named(work=fail)
    tasks["work"].max_retries = 1
    message = await floor.submit(tasks["work"], 7)
    async with floor.worker(tasks, QUICK) as worker:
        await floor.finished(names.FAILED)
        await reached(lambda: lines(caplog, "for good"), "the failure to be logged")
    assert (worker.counts.succeeded, worker.counts.retried, worker.counts.failed) == (0, 1, 1)
    why = "ValueError: no such number: 7 [2J"
    assert lines(caplog, "for good") == [f"task work {message.uuid} has failed for good, after 2 attempts: {why}"]
    assert lines(caplog, "again") == [f"task work {message.uuid} has failed and is tried again, after 1 attempt: {why}"]
    failures = [record for record in caplog.records if "attempt" in record.getMessage()]
    assert {record.levelname for record in failures} == {"WARNING"}
    for record in failures:
        assert vars(record)["task_id"] == message.uuid
        assert "Traceback (most recent call last)" in (record.exc_text or "")
        assert "\x1b" not in (record.exc_text or "")


@pytest.mark.anyio
async def test_success_is_logged_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "journeyman.worker")
    floor, tasks = Shop(), named(work=abs)
    message = await floor.submit(tasks["work"], 7)
    async with floor.worker(tasks, QUICK):
        await floor.finished(names.SUCCEEDED)
        await reached(lambda: lines(caplog, f"{message.uuid} has succeeded"), "the success to be logged")
    assert all(record.levelno == logging.DEBUG for record in caplog.records if "succeeded" in record.getMessage())
    assert not lines(caplog, "an append took"), "it was a quick one"


@pytest.mark.anyio
async def test_failed_hook_is_logged_with_its_argument(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "journeyman.worker")
    floor, tasks = Shop(), named(work=fail)
    tasks["work"].retry_at = lambda message: 1e300  # type: ignore[method-assign]
    await floor.submit(tasks["work"])
    async with floor.worker(tasks, QUICK):
        await floor.finished(names.FAILED)
    [line] = lines(caplog, "for good")
    assert "[2J; and its do_retry or retry_at with ValueError: retry_at must return seconds" in line


@pytest.mark.anyio
async def test_failure_storm_is_counted_and_not_logged_one_by_one(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failure_log, "FAILURE_LINES_SECONDS", 3_600.0)
    caplog.set_level(logging.WARNING, "journeyman.worker")
    floor, tasks = Shop(), named(work=fail)
    tasks["work"].max_retries = 0
    for number in range(100):
        await floor.submit(tasks["work"], number)
    async with floor.worker(tasks, QUICK):
        await floor.finished(names.FAILED, 100)
    assert len(lines(caplog, "has failed for good")) == FAILURE_LINES_MAX
    assert [line.split(":")[0] for line in lines(caplog, "more tasks")] == [
        f"{100 - FAILURE_LINES_MAX} more tasks have failed for good"
    ]


@pytest.mark.anyio
async def test_failure_storm_summary_is_logged_when_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "journeyman.worker")
    floor, tasks = Shop(), named(work=fail)
    tasks["work"].max_retries = 0
    for number in range(3 * FAILURE_LINES_MAX):
        await floor.submit(tasks["work"], number)

    def told() -> int:
        counted = sum(int(line.split()[0]) for line in lines(caplog, "more tasks"))
        return counted + len(lines(caplog, "has failed for good"))

    async with floor.worker(tasks, QUICK):
        await reached(lambda: told() == 3 * FAILURE_LINES_MAX, "each to be told of or counted")


@pytest.mark.anyio
async def test_brief_read_outage_ends_no_worker(caplog: pytest.LogCaptureFixture) -> None:
    floor, away = Shop(), Outage("page")
    tasks = named(work=lambda: 1)
    async with floor.worker(tasks, QUICK, log=FaultyLog(MemoryLog(floor.store), away)):
        away.on = True
        await floor.submit(tasks["work"])
        await reached(lambda: away.faults > 2, "reading to fail several times")
        away.on = False
        await floor.succeeded(1)
    assert "cannot be read, trying again" in caplog.text


@pytest.mark.anyio
async def test_lost_acknowledgements_double_nothing() -> None:
    floor, lossy = Shop(), Outage("append", fault=Fault.LOST_ACKNOWLEDGEMENT)
    tasks = named(work=lambda: 1)
    patient = Settings(threads=4)  # on a busy machine a short lease may run out, and what was claimed is given back
    log = FaultyLog(MemoryLog(floor.store), lambda op: flip(lossy, op))
    async with floor.worker(tasks, patient, log=log) as worker:
        lossy.on = True
        for _ in range(40):
            await floor.submit(tasks["work"])
        await floor.succeeded(40)
        await reached(lambda: worker.counts.succeeded == 40, "the worker to know")
        assert worker.counts.refused == 0
    lossy.on = False
    view = floor.view()
    assert floor.count(names.SUCCEEDED) == 40
    assert floor.count(names.CLAIMED) == 40
    assert view.stale_outcomes == view.lost_claims == 0
    assert lossy.faults > 3


def flip(outage: Outage, operation: str) -> Fault | None:
    """Every other time."""
    fault = outage(operation)
    return fault if outage.faults % 2 else None


@pytest.mark.anyio
async def test_repeats_at_the_end_of_the_log_delay_no_worker() -> None:
    floor, tasks = Shop(), named(work=lambda: 1)
    await floor.submit(tasks["work"])
    await floor.say("repeated")
    async with floor.worker(tasks, QUICK, log=RepeatingLog(floor.store)):
        await floor.succeeded(1)
        for _ in range(5):
            await floor.say("repeated")
            await floor.submit(tasks["work"])
            await floor.say("repeated")
        await floor.succeeded(6)


# -- what is large, long, or gone ------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_results_exceeding_one_append_are_split_over_several() -> None:
    together = threading.Barrier(8)

    def large() -> str:
        together.wait(60)
        return "x" * 900_000

    floor, tasks = Shop(), named(large=large)
    async with floor.worker(tasks, Settings(threads=8, lease_ms=60_000)) as worker:
        for _ in range(8):
            await floor.submit(tasks["large"])
        await floor.succeeded(8)
        await reached(lambda: worker.counts.succeeded == 8, "the worker to know")


@pytest.mark.anyio
async def test_unstarted_job_is_given_back_and_uses_no_attempt() -> None:
    floor, gate = Shop(), Gate()
    tasks = named(long=gate, short=lambda: 1)
    async with floor.worker(tasks, Settings(threads=2, lease_ms=60_000)) as worker:
        for _ in range(300):  # so that it takes many at a time
            await floor.submit(tasks["short"])
        await floor.succeeded(300)
        for _ in range(2):
            await floor.submit(tasks["long"], priority=0)
        behind = [await floor.submit(tasks["short"], priority=1) for _ in range(50)]
        await reached(lambda: gate.entered == 2, "both threads to be in long work")
        await reached(lambda: not threads(worker).executor.waiting, "the rest to be given back")
        async with floor.worker(tasks, Settings(threads=2, lease_ms=60_000)):
            await floor.succeeded(350)
        assert all(floor.task(message).attempts == 1 for message in behind)
        gate.open()


@pytest.mark.anyio
async def test_requeued_task_without_submission_fails_with_that_reason() -> None:
    floor = Shop()
    tasks = named(bad=lambda: 1 / 0, work=lambda: 1)
    tasks["bad"].max_retries = 0
    async with floor.worker(tasks, QUICK):
        message = await floor.submit(tasks["bad"])
        await floor.finished(names.FAILED)
        end = await floor.submit(tasks["work"])
        await floor.succeeded(1)
        await floor.log.trim({0: floor.task(end).submitted})
        await floor.say(names.REQUEUED, key=message.uuid, task=message.uuid)
        await floor.finished(names.FAILED)  # the first one was removed with the rest
        await floor.submit(tasks["work"])
        await floor.succeeded(2)
    (failed,) = floor.events(names.FAILED)
    assert "removed by retention" in failed.context["exception"]["text"]


@pytest.mark.anyio
async def test_requeued_task_is_read_again_from_the_log() -> None:
    floor, outcomes = Shop(), iter([ValueError("not yet"), None])

    def fickle(value: int) -> int:
        error = next(outcomes)
        if error is not None:
            raise error
        return value

    tasks = named(fickle=fickle)
    tasks["fickle"].max_retries = 0
    async with floor.worker(tasks, QUICK):
        message = await floor.submit(tasks["fickle"], 42)
        await floor.finished(names.FAILED)
        await floor.say(names.REQUEUED, key=message.uuid, task=message.uuid)
        await floor.succeeded(1)
    assert floor.events(names.SUCCEEDED)[0].context["result"] == 42
    assert floor.task(message).attempts == 1


@pytest.mark.anyio
async def test_unknown_task_waits_and_harms_no_other() -> None:
    floor, tasks, strangers = Shop(), named(work=lambda: 1), named(strange=lambda: 2)
    async with floor.worker(tasks, QUICK):
        stranger = await floor.submit(strangers["strange"])
        await floor.submit(tasks["work"])
        await floor.succeeded(1)
    assert (floor.task(stranger).state, floor.task(stranger).refused) == (State.READY, 0)
    async with floor.worker(strangers, QUICK):
        await floor.succeeded(2)


# -- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_drain_finishes_running_tasks_and_gives_back_the_rest() -> None:
    floor, gate = Shop(), Gate()
    tasks = named(work=gate)
    worker, running = await floor.start(tasks, Settings(threads=1, lease_ms=60_000))
    threads(worker).executor._job_seconds, threads(worker)._trusted = 1e-4, 100  # so that it claims ahead
    messages = [tasks["work"].generate(submit=False) for _ in range(10)]
    await floor.journal.append_drafts([submission(message) for message in messages])
    await reached(
        lambda: gate.entered == 1 and threads(worker).executor.waiting, "one to run and others to wait behind it"
    )
    worker.stop()
    await reached(lambda: not threads(worker).executor.waiting, "the unstarted to be taken back")
    assert not running.done()
    gate.open()
    await asyncio.wait_for(running, 60)

    states = [floor.task(message) for message in messages]
    assert [task.state for task in states] == [State.SUCCEEDED] + [State.READY] * 9
    assert [task.attempts for task in states] == [1] + [0] * 9
    assert gate.entered == 1
    assert not list(floor.view().all_sessions())


@pytest.mark.anyio
async def test_drain_is_over_as_soon_as_its_last_task_is() -> None:
    for _ in range(10):
        floor, gate = Shop(), Gate()
        tasks = named(work=gate)
        worker, running = await floor.start(tasks, Settings(threads=2, lease_ms=60_000, drain_seconds=1_000))
        await floor.submit(tasks["work"])
        await reached(lambda gate=gate: gate.entered == 1, "the task to run")  # type: ignore[misc]
        worker.stop()
        gate.open()
        await asyncio.wait_for(running, 60)
        assert floor.count(names.SUCCEEDED) == floor.count(names.LEFT) == 1


def test_task_outliving_the_drain_is_given_back_silently() -> None:
    floor, gate = Shop(), Gate()
    tasks = named(work=gate)

    async def main() -> None:
        worker, running = await floor.start(tasks, Settings(threads=1, lease_ms=60_000, drain_seconds=0))
        message = await floor.submit(tasks["work"])
        await reached(lambda: gate.entered == 1, "the task to run")
        worker.stop()
        await asyncio.wait_for(running, 60)
        assert (floor.task(message).state, floor.task(message).attempts) == (State.READY, 0)

    asyncio.run(main())
    executor = [thread for thread in threading.enumerate() if thread.name.startswith("journeyman-thread")]
    gate.open()
    wait_until(
        lambda: not any(thread.is_alive() for thread in executor), "the task's thread to end, its loop long gone"
    )


@pytest.mark.anyio
async def test_cancelled_worker_ends_even_during_a_commit() -> None:
    floor, tasks = Shop(), named(work=lambda: 1)
    held = asyncio.Event()

    async def hold(drafts: Sequence[Draft]) -> None:
        if any(draft.name == names.CLAIMED for draft in drafts):
            held.set()
            await asyncio.Event().wait()

    _, running = await floor.start(tasks, QUICK, log=Interposed(floor, hold))
    await floor.submit(tasks["work"])
    await held.wait()
    running.cancel()
    await asyncio.wait({running}, timeout=20)
    assert running.cancelled()


@pytest.mark.parametrize("wrong", [{"lease_ms": LEASE_MS_MIN - 1}, {"threads": 0}, {"drain_seconds": -1.0}])
def test_unworkable_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="from"):
        Settings(**wrong)  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_worker_full_of_long_tasks_appends_only_heartbeats() -> None:
    floor, gate = Shop(), Gate()
    tasks = named(work=gate, brief=lambda: 1)
    async with floor.worker(tasks, Settings(threads=4, lease_ms=LEASE_MS_MIN)) as worker:
        for _ in range(600):  # so that it is used to claiming ahead
            await floor.submit(tasks["brief"])
        await floor.succeeded(600)
        for _ in range(60):
            await floor.submit(tasks["work"])
        await reached(lambda: gate.entered == 4, "all threads to be in long work")
        await reached(lambda: threads(worker)._held == 4, "what was claimed ahead to be given back", 60)
        seen = len(floor.events())
        beats = floor.count(names.BEAT)
        await reached(lambda: floor.count(names.BEAT) >= beats + 15, "five leases to pass", 60)
        assert {event.name for event in floor.events()[seen:]} == {names.BEAT}

        for round_ in range(1, 4):  # nor does it learn the wrong thing from long tasks that end
            gate.open()
            await reached(lambda done=round_: gate.entered == 4 + 4 * done, "the next ones to run")  # type: ignore[misc]
        interrupted = floor.count(names.INTERRUPTED)
        beats = floor.count(names.BEAT)
        await reached(lambda: floor.count(names.BEAT) >= beats + 15, "five leases to pass", 60)
        assert floor.count(names.INTERRUPTED) == interrupted
        for message in floor.view().live:
            await floor.say(names.REVOKED, message, task=message)
        gate.open()


@pytest.mark.anyio
async def test_large_executor_of_long_tasks_gives_nothing_back() -> None:
    floor, gate = Shop(), Gate()
    tasks = named(work=gate)
    async with floor.worker(tasks, Settings(threads=64, lease_ms=LEASE_MS_MIN)) as worker:
        messages = [tasks["work"].generate(submit=False) for _ in range(200)]
        await floor.journal.append_drafts([submission(message) for message in messages])
        for done in range(3):
            await reached(lambda done=done: gate.entered == 64 * (done + 1), "all threads to be in long work")  # type: ignore[misc]
            beats = floor.count(names.BEAT)
            await reached(lambda beats=beats: floor.count(names.BEAT) >= beats + 8, "more than a second to pass")  # type: ignore[misc]
            gate.open()
        await reached(lambda: gate.entered == 200, "the last ones to run")
        gate.open()
    assert worker.counts.interrupted == 0
    assert floor.count(names.CLAIMED) == 200


def test_lost_notification_delays_a_task_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journeyman.journal.sqlite.tail.NOTIFIER_POLL_SECONDS", 0.02)
    monkeypatch.setattr("journeyman.workers.loop.reader.NOTIFIER_POLL_SECONDS", 0.02)
    monkeypatch.setattr("journeyman.journal.sqlite.notifier.Notifier.notify", lambda *_: None)

    async def test() -> None:
        async with AsyncJournal(f"sqlite:///{tmp_path}/a.db") as journal:
            worker = WorkerLoop(journal, named(work=lambda: "done"), QUICK)
            running = asyncio.ensure_future(worker.run())
            for number in range(3):
                await journal.append_drafts([submission(Message(task_name="work"))])
                await reached(lambda: worker.counts.succeeded > number, "the task to be done")  # noqa: B023
            worker.stop()
            await running

    asyncio.run(test())


class BreakingLog(MemoryLog):
    """Fails in an unforeseen way wherever an executor's thread appends by itself."""

    broken = 0

    async def append(self, drafts: Sequence[Draft]) -> list[Event]:
        if threading.current_thread() is not threading.main_thread():
            self.broken += 1
            raise RuntimeError("out of everything")
        return await super().append(drafts)


@pytest.mark.anyio
async def test_outcome_a_thread_cannot_write_is_left_to_the_loop() -> None:
    floor, tasks = Shop(), named(work=lambda number: number)
    log = BreakingLog(floor.store)
    async with floor.worker(tasks, Settings(threads=1, lease_ms=LEASE_MS), log=log):
        for number in range(3):
            await floor.submit(tasks["work"], number)
            await floor.succeeded(number + 1)
    assert log.broken == 3
    assert floor.count(names.SUCCEEDED) == 3
