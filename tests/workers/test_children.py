"""Pools of real child processes: grown, shrunk, killed, timed out; and the rule for their number, as a table."""

import asyncio
import copy
import gc
import os
import pty
import signal
import socket
import subprocess
import sys
import time
import warnings
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeyman.journal.event import record
from journeyman.tasks import Message, Task, ValidationError
from journeyman.tasks.state import names
from journeyman.tasks.submitting import submission
from journeyman.workers.executors import PoolSize, ProcessExecutor, ThreadGroupExecutor
from journeyman.workers.executors.children import pool, process, thread_groups
from journeyman.workers.executors.children.permits import Permits
from journeyman.workers.executors.children.pool import ChildPool
from journeyman.workers.executors.children.sizing import Member, growth, spare
from journeyman.workers.executors.pipeline import Job, Outcome, SessionLease
from journeyman.workers.limits import (
    ABANDON_SECONDS,
    CHILD_RESPAWN_SECONDS_MAX,
    CHILD_STALL_SECONDS_MAX,
    ENFORCE_MS_DEFAULT,
)
from journeyman.workers.loading import tasks_by_name
from support.states import claimed_task
from support.waiting import alive, reached, wait_until
from task_modules import executor_tasks

TASKS: dict[str, Task[Any, Any]] = {task.name: task for task in vars(executor_tasks).values() if isinstance(task, Task)}


# -- when to grow and to shrink --------------------------------------------------------------------------------------

FULL, HALF, IDLE, STARTING = Member(4), Member(2), Member(0), Member(0, ready=False)


@pytest.mark.parametrize(
    ("waiting", "members", "added"),
    [
        (0, [], 1),  # the floor
        (0, [FULL], 0),
        (1, [FULL], 1),
        (4, [FULL], 1),
        (5, [FULL], 2),
        (100, [FULL], 2),  # the ceiling
        (100, [FULL, FULL, FULL], 0),
        (100, [FULL, HALF], 0),  # not all are full
        (100, [FULL, IDLE], 0),
        (4, [FULL, STARTING], 0),  # one that starts will take them
        (5, [FULL, STARTING], 1),
        (5, [STARTING], 1),
        (1, [Member(0, retiring=True)], 1),  # one that is to go takes nothing
        (0, [Member(3, retiring=True)], 0),
    ],
)
def test_executor_grows_when_children_are_full_and_jobs_wait(waiting: int, members: list[Member], added: int) -> None:
    assert growth(waiting, members, PoolSize(places=4, floor=1, ceiling=3)) == added


@pytest.mark.parametrize(
    ("idle", "floor", "gone"),
    [
        ([0, 70, 90], 1, [2, 1]),
        ([70, 80, 90], 1, [2, 1]),
        ([70, 80, 90], 0, [2, 1, 0]),
        ([70, 80, 90], 3, []),
        ([10, 59, 60], 1, [2]),
    ],
)
def test_executor_ends_the_longest_idle_children(idle: list[float], floor: int, gone: list[int]) -> None:
    members = [Member(0, idle_seconds=seconds) for seconds in idle]
    assert spare(members, PoolSize(4, floor, 3), 60.0) == gone
    assert spare([each._replace(ready=False) for each in members], PoolSize(4, floor, 3), 60.0) == []
    assert spare([each._replace(held=1) for each in members], PoolSize(4, floor, 3), 60.0) == []


@given(
    st.integers(0, 100),
    st.lists(st.builds(Member, st.integers(0, 8), st.booleans(), st.floats(0, 100), st.booleans()), max_size=6),
    st.builds(lambda places, floor, more: PoolSize(places, floor, floor + more), *[st.integers(1, 4)] * 3),
)
def test_executor_stays_within_its_bounds(waiting: int, members: list[Member], pool_size: PoolSize) -> None:
    members = members[: pool_size.ceiling]
    after = len(members) + growth(waiting, members, pool_size)
    assert min(pool_size.floor, pool_size.ceiling) <= after <= pool_size.ceiling
    gone = spare(members, pool_size, 10.0)
    assert len(members) - len(gone) >= min(pool_size.floor, len(members))
    assert all(not members[index].held for index in gone)


# -- real children ---------------------------------------------------------------------------------------------------


class Hand:
    """Gives jobs to an executor and collects outcomes, as a lane does."""

    def __init__(self, path: Path, make: Callable[[Callable[[], None]], ChildPool]) -> None:
        self.path = path
        self.executor = make(lambda: None)
        self.outcomes: list[Outcome] = []
        self.given = 0

    def give(self, task: str, count: int = 1, **message_fields: Any) -> None:
        jobs = []
        for _ in range(count):
            self.given += 1
            kwargs: dict[str, Any] = {}
            kwargs |= {name: message_fields.pop(name) for name in ("how", "stay") if name in message_fields}
            message = Message(task_name=task, uuid=f"t{self.given}", args=[self.given], kwargs=kwargs, **message_fields)
            lease = SessionLease("worker", 0)
            lease.renew(time.monotonic(), 1_000)
            state = claimed_task(message.uuid, self.given, 100 + self.given, name=task)
            jobs.append(Job(state, lease, state.claim, record(submission(message), 1.0)[1], 0))
        self.executor.start(jobs)

    def let(self, name: str = "go") -> None:
        (self.path / name).touch()

    def marks(self, task: str) -> list[int]:
        """In which processes a task has been started, in order."""
        try:
            lines = (self.path / "marks").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [int(line.split()[2]) for line in lines if line.split()[0] == task]

    def look(self) -> list[Outcome]:
        self.executor.enforce(time.monotonic())
        self.outcomes += self.executor.collect()
        return self.outcomes

    async def has(self, count: int, timeout: float = 20.0) -> list[Outcome]:
        await reached(lambda: len(self.look()) >= count, f"{count} outcomes", timeout)
        return self.outcomes

    async def started(self, task: str, count: int) -> list[int]:
        await reached(lambda: len(self.marks(task)) >= count, f"{count} {task} to run")
        return self.marks(task)

    @property
    def pids(self) -> list[int]:
        return [child.process.pid for child in self.executor._children]

    async def ready(self, count: int) -> None:
        await reached(lambda: sum(child.ready for child in self.executor._children) == count, f"{count} children")


def result(outcome: Outcome) -> Any:
    assert outcome.name == names.SUCCEEDED, outcome.detail
    return orjson.loads(outcome.context())["result"]


def error(outcome: Outcome) -> str:
    said = orjson.loads(outcome.context())["exception"]
    return f"{outcome.name} {said['name'].rpartition('.')[2]} {said['text']}"


@asynccontextmanager
async def hand(path: Path, make: Callable[[Callable[[], None]], ChildPool]) -> AsyncIterator[Hand]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YARD", str(path))
        each = Hand(path, make)
        try:
            yield each
        finally:
            each.executor.close()
            assert not each.executor._children


def grouped(places: int, floor: int = 1, ceiling: int = 3, **options: Any) -> Callable[[Callable[[], None]], ChildPool]:
    return lambda wake: ThreadGroupExecutor(PoolSize(places, floor, ceiling), TASKS, wake, **options)


def single(size: int, floor: int = 1) -> Callable[[Callable[[], None]], ChildPool]:
    return lambda wake: ProcessExecutor(size, TASKS, wake, floor=floor)


@pytest.mark.parametrize("make", [grouped(4), single(2)], ids=["groups", "processes"])
@pytest.mark.anyio
async def test_job_has_one_outcome_and_runs_in_a_child(tmp_path: Path, make: Any) -> None:
    async with hand(tmp_path, make) as executor:
        for _ in range(10):
            executor.give("where", 100)
        outcomes = await executor.has(1_000)
        assert len({outcome.job.state.id for outcome in outcomes}) == len(outcomes) == 1_000
        assert os.getpid() not in {result(outcome) for outcome in outcomes}
        assert (executor.executor.running, executor.executor.waiting) == (0, 0)
        assert executor.executor.job_seconds < 1.0, "measured: it is 1 s until something has run"


@pytest.mark.anyio
async def test_groups_grow_under_load_and_shrink_when_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "CHILD_IDLE_SECONDS_MAX", 0.3)
    async with hand(tmp_path, grouped(places=3)) as executor:
        await executor.ready(1)
        (first,) = executor.pids
        executor.give("hold", 3)
        assert await executor.started("hold", 3) == [first] * 3
        assert executor.pids == [first], "one group is enough for what fits it"
        executor.give("hold", 1)
        await executor.started("hold", 4)
        assert len(executor.pids) == 2
        executor.give("hold", 20)
        pids = await executor.started("hold", 9)
        assert sorted(pids.count(pid) for pid in executor.pids) == [3, 3, 3]
        assert executor.executor.waiting == 15, "the ceiling"
        executor.let()
        await executor.has(24)
        await reached(lambda: len(executor.pids) == 1, "all but the floor to be let go")
        assert not any(alive(pid) for pid in set(pids) - set(executor.pids))


@pytest.mark.anyio
async def test_killed_child_fails_begun_jobs_and_passes_on_the_rest(tmp_path: Path) -> None:
    async with hand(tmp_path, grouped(places=2, ceiling=1)) as executor:
        await executor.ready(1)
        executor.executor._job_seconds = 1e-4  # so that it is handed more than it can run
        executor.give("hold", 5)
        first, second = await executor.started("hold", 2)
        assert executor.executor.waiting == 0
        os.kill(first, signal.SIGKILL)
        outcomes = list(await executor.has(2))
        assert [error(outcome) for outcome in outcomes] == [
            "task.retried ProcessDiedError the process died with SIGKILL"
        ] * 2
        executor.let()
        rest = (await executor.has(5))[2:]
        assert {result(outcome) for outcome in rest}.isdisjoint({first, second})
        assert {outcome.job.state.id for outcome in outcomes} == {"t1", "t2"}


@pytest.mark.anyio
async def test_task_that_ends_its_process_fails_with_its_neighbour(tmp_path: Path) -> None:
    async with hand(tmp_path, grouped(places=2, ceiling=1)) as executor:
        executor.give("die")
        executor.give("hold")
        await executor.started("hold", 1)
        await executor.started("die", 1)
        executor.let("die")
        assert [error(outcome) for outcome in await executor.has(2)] == [
            "task.retried ProcessDiedError the process died with exit code 7"
        ] * 2


@pytest.mark.parametrize("make", [grouped(2, ceiling=1), single(1)], ids=["groups", "processes"])
@pytest.mark.anyio
async def test_task_that_execs_another_program_is_killed_and_fails(tmp_path: Path, make: Any) -> None:
    async with hand(tmp_path, make) as executor:
        executor.give("become", how="60")
        (pid,) = await executor.started("become", 1)
        assert error((await executor.has(1))[0]) == f"task.retried ProcessDiedError the process {pool._WENT_ON}"
        assert not alive(pid)
        executor.give("where")
        assert result((await executor.has(2))[1]) != pid


@pytest.mark.anyio
async def test_task_that_execs_fails_with_the_exit_code(tmp_path: Path) -> None:
    async with hand(tmp_path, single(1)) as executor:
        executor.give("become", how="0")
        assert error((await executor.has(1))[0]) == "task.retried ProcessDiedError the process died with exit code 0"


@pytest.mark.parametrize(("make", "kept"), [(grouped(2), True), (single(1), False)], ids=["groups", "processes"])
@pytest.mark.anyio
async def test_timeout_stops_python_code(tmp_path: Path, make: Any, kept: bool) -> None:
    async with hand(tmp_path, make) as executor:
        await executor.ready(1)
        before = executor.pids
        executor.give("spin", timeout=200)
        assert "task.retried TaskTimeoutError" in error((await executor.has(1))[0])
        executor.give("where")
        assert (result((await executor.has(2))[1]) in before) is kept, "a thread is interrupted, a process killed"


@pytest.mark.anyio
async def test_call_in_c_is_abandoned_and_ends_with_its_group(tmp_path: Path) -> None:
    async with hand(tmp_path, grouped(places=2, ceiling=2)) as executor:
        executor.give("wait_in_c", timeout=100)
        (stuck,) = await executor.started("wait_in_c", 1)
        executor.give("hold")
        await executor.started("hold", 1)
        (given_up,) = await executor.has(1, 4 * ABANDON_SECONDS)
        assert "its thread cannot be stopped" in error(given_up)
        assert alive(stuck), "the other thread of the group goes on"
        executor.give("where")
        assert result((await executor.has(2))[1]) != stuck, "and the group takes nothing new"
        executor.let()
        assert result((await executor.has(3))[2]) == stuck
        await reached(lambda: not alive(stuck), "the group to end, and the call with it")


@pytest.mark.anyio
async def test_stuck_group_is_killed_and_fails_the_culprit_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread_groups, "KILL_SECONDS", 1.0)
    async with hand(tmp_path, grouped(places=2, ceiling=1)) as executor:
        executor.give("hog", timeout=1_000)
        executor.give("spin")
        (pid,) = await executor.started("hog", 1)
        await executor.started("spin", 1)
        executor.let()
        outcomes = {outcome.job.state.name: outcome for outcome in await executor.has(2)}
        assert "task.retried TaskTimeoutError" in error(outcomes["hog"])
        assert outcomes["spin"].name == names.INTERRUPTED
        assert b"killed because of another task" in outcomes["spin"].detail
        assert not alive(pid)


@pytest.mark.anyio
async def test_thread_keeps_its_place_with_abandon_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_groups, "KILL_SECONDS", 0.0)
    async with hand(tmp_path, grouped(places=2, ceiling=1, abandon=False)) as executor:
        executor.give("wait_in_c", timeout=50)
        (pid,) = await executor.started("wait_in_c", 1)
        for number in range(1, 8):
            executor.give("where")
            outcomes = await executor.has(number)
            assert {result(outcome) for outcome in outcomes} == {pid}
            at = time.monotonic() + ENFORCE_MS_DEFAULT / 1_000
            await reached(lambda at=at: time.monotonic() > at, "the timeouts to be looked at again")  # type: ignore[misc]
        assert executor.executor.running == 1


@pytest.mark.parametrize("make", [grouped(2, ceiling=1), single(1)], ids=["groups", "processes"])
@pytest.mark.parametrize("how", ["fork", "fork in C", "spawn"])
@pytest.mark.anyio
async def test_process_started_by_a_task_does_not_hide_its_end(tmp_path: Path, make: Any, how: str) -> None:
    async with hand(tmp_path, make) as executor:
        executor.give("leave_a_process", how=how, stay=False)
        assert "the process died with exit code 7" in error((await executor.has(1))[0])
        executor.give("where")
        result((await executor.has(2))[1])
        assert all(map(alive, executor.marks("left"))), "it has a session of its own"
        executor.let()


@pytest.mark.parametrize("how", ["fork", "fork in C", "spawn"])
@pytest.mark.anyio
async def test_process_started_by_a_task_does_not_hide_its_kill(tmp_path: Path, how: str) -> None:
    async with hand(tmp_path, single(1)) as executor:
        executor.give("leave_a_process", how=how, stay=True, timeout=300)
        assert "task.retried TaskTimeoutError" in error((await executor.has(1))[0])
        executor.give("where")
        result((await executor.has(2))[1])
        assert all(map(alive, executor.marks("left"))), "it has a session of its own"
        executor.let()


@pytest.mark.parametrize("how", ["subprocess", "multiprocessing"])
@pytest.mark.anyio
async def test_process_started_by_a_task_is_killed_at_the_deadline(tmp_path: Path, how: str) -> None:
    async with hand(tmp_path, single(1)) as executor:
        await executor.ready(1)
        executor.give("start_a_process", how=how, timeout=1_000)
        (started,) = await executor.started("started", 1)
        assert alive(started)
        assert "task.retried TaskTimeoutError" in error((await executor.has(1))[0])
        await reached(lambda: not alive(started), "what it has started to end")


@pytest.mark.parametrize("make", [grouped(2, ceiling=1), single(1)], ids=["groups", "processes"])
@pytest.mark.anyio
async def test_process_started_by_a_task_is_killed_with_a_dead_child(tmp_path: Path, make: Any) -> None:
    async with hand(tmp_path, make) as executor:
        executor.give("start_a_process", how="and die")
        assert "the process died with exit code 7" in error((await executor.has(1))[0])
        (started,) = executor.marks("started")
        await reached(lambda: not alive(started), "what it has started to end")


@pytest.mark.parametrize("make", [grouped(2, ceiling=1), single(1)], ids=["groups", "processes"])
@pytest.mark.parametrize("how", ["and return", "and wait"])
@pytest.mark.anyio
async def test_process_started_by_a_task_is_killed_on_executor_close(tmp_path: Path, make: Any, how: str) -> None:
    async with hand(tmp_path, make) as executor:
        executor.give("start_a_process", how=how)
        (started,) = await executor.started("started", 1)
        if how == "and return":
            await executor.has(1)
            assert alive(started), "as long as its child is there"
    await reached(lambda: not alive(started), "what it has started to end")


@pytest.mark.anyio
async def test_process_started_by_a_task_is_killed_on_child_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "CHILD_IDLE_SECONDS_MAX", 0.3)
    async with hand(tmp_path, single(1, floor=0)) as executor:
        executor.give("start_a_process", how="and return")
        (started,) = await executor.started("started", 1)
        await executor.has(1)
        await reached(lambda: not executor.pids, "the child to be let go")
        await reached(lambda: not alive(started), "what it has started to end")


def test_terminal_neither_interrupts_nor_stops_a_child(tmp_path: Path) -> None:
    """The worker answers Ctrl-C; in the background, a child can write to the terminal, and cannot read."""
    here = [str(Path(__file__).parent), str(Path(executor_tasks.__file__).parents[1])]
    script = (
        f"import asyncio, os, pathlib, pty, signal, sys; sys.path[:0] = {here!r}\n"
        f"path = pathlib.Path({str(tmp_path)!r})\n"
        "import test_children as t\n"
        "async def main():\n"
        "    async with t.hand(path, t.single(1)) as hand:\n"
        "        signal.signal(signal.SIGINT, lambda *_: hand.let('interrupted'))\n"
        "        hand.give('use_a_terminal')\n"
        "        (outcome,) = await hand.has(1)\n"
        "        (path / 'said').write_text(outcome.name + str(outcome.detail))\n"
        "asyncio.run(main())\n"
    )
    terminal, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", f"import os; os.login_tty({theirs})\n{script}"], pass_fds=[theirs]
    )
    os.close(theirs)
    try:
        wait_until((tmp_path / "marks").exists, "the task to have used its terminal")
        os.write(terminal, b"\x03")
        wait_until((tmp_path / "interrupted").exists, "Ctrl-C to reach the worker")
        (tmp_path / "go").touch()
        wait_until(lambda: process.poll() is not None, "the executor to end")
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    said = (tmp_path / "said").read_text()
    assert said.startswith(names.SUCCEEDED), said
    assert '"result":"EIO"' in said


@pytest.mark.anyio
async def test_long_job_gets_no_job_queued_behind_it(tmp_path: Path) -> None:
    async with hand(tmp_path, single(2)) as executor:
        await executor.ready(1)
        executor.give("hold")
        (busy,) = await executor.started("hold", 1)
        (child,) = executor.executor._children
        await reached(lambda: child.runs[0].seconds > CHILD_STALL_SECONDS_MAX, "the job to have lasted")
        executor.executor._job_seconds = 1e-4
        executor.give("where", 5)
        assert (len(child.runs), executor.executor.waiting) == (1, 5)
        assert busy not in {result(outcome) for outcome in await executor.has(5)}
        executor.let()
        await executor.has(6)


@pytest.mark.parametrize("make", [grouped(2, ceiling=2), single(2)], ids=["groups", "processes"])
@pytest.mark.anyio
async def test_jobs_behind_a_held_interpreter_move_to_another_child(tmp_path: Path, make: Any) -> None:
    async with hand(tmp_path, make) as executor:
        await executor.ready(1)
        (held,) = executor.pids
        executor.let()
        executor.executor._job_seconds = 1e-4  # so that it is handed more than it can run
        executor.give("hog")
        executor.give("where", 20)
        await executor.started("hog", 1)
        assert len(executor.executor._children) == 1, "they were put behind it"
        outcomes = await executor.has(19)
        if executor.executor.size == 2:  # in a group the other thread may have run some before the interpreter was held
            assert held not in {result(outcome) for outcome in outcomes}
        assert executor.executor.running <= 2, "a second place of the group cannot be left again"


@pytest.mark.parametrize("make", [grouped(2, ceiling=1), single(1)], ids=["group", "process"])
@pytest.mark.anyio
async def test_outcome_is_reported_before_the_interpreter_is_held(tmp_path: Path, make: Any) -> None:
    async with hand(tmp_path, make) as executor:
        await executor.ready(1)
        executor.let()
        executor.executor._job_seconds = 1e-4  # so that it is handed more than it can run
        for _ in range(20):
            executor.give("where", 20)
            await executor.has(executor.given)
        executor.give("where", 20)
        executor.give("hog")
        await executor.has(executor.given - 1)


@pytest.mark.anyio
async def test_task_that_ends_its_process_is_the_only_one_blamed(tmp_path: Path) -> None:
    async with hand(tmp_path, single(1)) as executor:
        await executor.ready(1)
        executor.let("die")
        executor.executor._job_seconds = 1e-4  # so that it is handed more than it can run
        executor.give("where", 5)
        executor.give("die")
        executor.give("where", 5)
        outcomes = {outcome.job.state.id: outcome for outcome in await executor.has(11)}
        assert error(outcomes["t6"]) == "task.retried ProcessDiedError the process died with exit code 7"
        early, late = [outcomes[f"t{n}"] for n in range(1, 6)], [outcomes[f"t{n}"] for n in range(7, 12)]
        assert {outcome.name for outcome in early} <= {names.SUCCEEDED, names.INTERRUPTED}
        assert {outcome.name for outcome in late} == {names.SUCCEEDED}


@pytest.mark.anyio
async def test_result_does_not_wait_for_the_next_task(tmp_path: Path) -> None:
    async with hand(tmp_path, single(1)) as executor:
        await executor.ready(1)
        executor.executor._job_seconds = 1e-4  # so that it is handed more than it can run
        executor.give("where")
        executor.give("hold")
        await executor.started("hold", 1)
        result((await executor.has(1))[0])
        assert executor.executor.running == 1
        executor.let()
        await executor.has(2)


@pytest.mark.anyio
async def test_child_that_does_not_read_delays_no_other(tmp_path: Path) -> None:
    async with hand(tmp_path, single(1)) as executor:
        await executor.ready(1)
        (pid,) = executor.pids
        os.kill(pid, signal.SIGSTOP)
        try:
            executor.executor._job_seconds = 1e-4  # so that it is handed more than it can run
            executor.give("where", 12, metadata={"filling": "x" * 900_000})
            assert executor.executor.running == 12
        finally:
            os.kill(pid, signal.SIGCONT)
        assert {result(outcome) for outcome in await executor.has(12)} == {pid}


@pytest.mark.anyio
async def test_child_ends_with_its_executor_despite_a_forked_stream(tmp_path: Path) -> None:
    async with hand(tmp_path, single(1)) as executor:
        await executor.ready(1)
        (pid,) = executor.pids
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # to fork with threads around; here it waits only
            fork = os.fork()
        if fork == 0:
            signal.pause()
            os._exit(0)
        try:
            started = time.monotonic()
            executor.executor.close()
            assert not alive(pid)
            assert time.monotonic() - started < CHILD_RESPAWN_SECONDS_MAX / 2, "it was not waited for in vain"
        finally:
            os.kill(fork, signal.SIGKILL)
            os.waitpid(fork, 0)  # noqa: ASYNC222 - it is killed


@pytest.mark.parametrize("make", [grouped(2), single(1)], ids=["groups", "processes"])
@pytest.mark.parametrize("how", ["starting", "stopped"])
@pytest.mark.anyio
async def test_executor_closes_at_once_with_an_idle_child(tmp_path: Path, make: Any, how: str) -> None:
    async with hand(tmp_path, make) as executor:
        (pid,) = executor.pids
        if how == "stopped":
            await executor.ready(1)
            os.kill(pid, signal.SIGSTOP)
        started = time.monotonic()
        executor.executor.close()
        assert not alive(pid)
        assert time.monotonic() - started < CHILD_RESPAWN_SECONDS_MAX / 2, "it was not waited for in vain"


def test_child_without_its_worker_loop_stays_silent(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    permits = Permits()
    files = theirs.fileno(), permits.theirs
    with ours, theirs:
        ours.close()
        child = subprocess.run(
            [sys.executable, "-c", process._START, *map(str, files), "0"],
            pass_fds=files,
            cwd=Path(executor_tasks.__file__).parents[1],
            env={**os.environ, process._PATH_VARIABLE: os.pathsep.join(sys.path), "YARD": str(tmp_path)},
            capture_output=True,
            timeout=60,
            check=False,
        )
    permits.close()
    assert (child.returncode, child.stdout, child.stderr) == (0, b"", b"")


@pytest.mark.anyio
async def test_tasks_of_the_main_script_are_refused_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor_tasks.where.function, "__module__", "__main__")
    with pytest.raises(ValidationError, match="Move it into a module"):
        grouped(2)(lambda: None)


@pytest.mark.anyio
async def test_children_import_tasks_from_where_they_were_found(tmp_path: Path) -> None:
    tasks = tasks_by_name("task_modules.wrapped_tasks")
    assert tasks["wrapped"].function.__module__ == "task_modules.loud"
    async with hand(tmp_path, lambda wake: ProcessExecutor(1, tasks, wake)) as executor:
        executor.give("wrapped")
        executor.give("plain")
        assert [result(outcome) for outcome in await executor.has(2)] == ["RAN 1", "ran 2"]


@pytest.mark.anyio
async def test_child_names_the_task_it_lacks(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tasks = {task.name: copy.copy(task) for task in tasks_by_name("task_modules.wrapped_tasks").values()}
    for task in tasks.values():
        task.home = None  # as of tasks that a program gives as a list
    async with hand(tmp_path, lambda wake: ProcessExecutor(1, tasks, wake)) as executor:
        executor.give("wrapped")
        await reached(lambda: executor.executor.start_failure, "the child not to start")
    assert "there is no task 'wrapped' in task_modules.loud, from which it was to be imported" in capfd.readouterr().err


@pytest.mark.anyio
async def test_dead_child_is_forgotten_with_its_jobs(tmp_path: Path) -> None:
    """An executor whose tasks kill their children would otherwise hold the rows of them all for minutes."""
    async with hand(tmp_path, single(1)) as executor:
        await executor.ready(1)
        child = weakref.ref(executor.executor._children[0])
        executor.let("die")
        executor.give("die")
        await executor.has(1)
        await reached(lambda: gc.collect() >= 0 and child() is None, "no reference to hold the dead child")


@pytest.mark.anyio
async def test_killed_worker_leaves_no_child(tmp_path: Path) -> None:
    """Even one whose interpreter is held by a task, so that no code of ours can run in it."""
    pids = tmp_path / "pids"
    here = [str(Path(__file__).parent), str(Path(executor_tasks.__file__).parents[1])]
    script = (
        f"import asyncio, sys; sys.path[:0] = {here!r}\n"
        "import test_children as t, pathlib\n"
        "async def main():\n"
        f"    async with t.hand(pathlib.Path({str(tmp_path)!r}), t.grouped(places=2, floor=2)) as hand:\n"
        "        hand.give('hog')\n"
        "        await hand.started('hog', 1)\n"
        "        await hand.ready(2)\n"
        "        hand.let()\n"
        f"        pathlib.Path({str(pids)!r}).write_text(' '.join(map(str, hand.pids)))\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    worker_loop = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    try:
        await reached(lambda: pids.exists() and len(pids.read_text().split()) == 2, "the children to run")
    finally:
        worker_loop.kill()
        await worker_loop.wait()
    orphans = [int(pid) for pid in pids.read_text().split()]
    await reached(lambda: not any(alive(pid) for pid in orphans), "the children to end with it")
