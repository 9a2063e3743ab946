"""Which idle sessions are expired because their process is gone: only those whose process ids can be seen from here."""

import asyncio
import os
import socket
import subprocess
import sys
from typing import Any

import pytest
from journeyman.tasks.state import names
from journeyman.tasks.state.identity import Accepts
from journeyman.tasks.state.selection import EVERYTHING
from journeyman.tasks.state.state import SessionState
from journeyman.workers import Settings
from journeyman.workers.loop import session_watch
from journeyman.workers.loop.dead_processes import departed
from journeyman.workers.loop.machine import machine
from journeyman.workers.loop.registration import joining
from journeyman.workers.scheduling.decide import Expire
from support.shop import Shop, named
from support.waiting import reached

HOST = socket.gethostname()


@pytest.fixture(scope="module")
def gone() -> int:
    """The id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def session(pid: int, host: str = HOST, where: str = "") -> SessionState:
    return SessionState("other", 0, 15_000, host, pid, 0.0, 7, machine=where)


def test_idle_session_of_an_ended_process_is_expired(gone: int) -> None:
    assert list(departed([session(gone, where=machine())])) == [Expire(0, "other", 7)]


@pytest.mark.anyio
async def test_worker_expires_the_session_of_an_ended_process(gone: int) -> None:
    shop = Shop()
    where: dict[str, Any] = {"host": HOST, "machine": machine(), "lease_ms": 60_000}
    await shop.say(names.JOINED, worker="gone", pid=gone, **where)
    await shop.say(names.JOINED, worker="here", pid=os.getpid(), **where)
    async with shop.worker(named(work=abs), Settings(threads=1)):
        await reached(lambda: bool(shop.count(names.EXPIRED)), "a session to be expired")
    assert [event.context["worker"] for event in shop.events(names.EXPIRED)] == ["gone"]


@pytest.mark.anyio
async def test_draining_worker_leaves_ended_processes_to_others(gone: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_watch, "DEAD_PROCESSES_SECONDS", 0.0)
    shop, over = Shop(), asyncio.Event()

    async def work() -> None:
        await over.wait()

    tasks = named(work=work)
    async with shop.worker(tasks, Settings(coroutines=1)) as worker:
        await shop.submit(tasks["work"])
        await reached(lambda: worker.counts.claimed, "the task to run")
        worker.stop()
        await shop.say(names.JOINED, worker="gone", pid=gone, host=HOST, machine=machine(), lease_ms=60_000)
        await reached(lambda: worker.view.session(0, "gone"), "the session to be seen")
        turned = worker._turned_at
        worker._wake()
        await reached(lambda: worker._turned_at > turned, "another turn")
        over.set()
    assert shop.count(names.EXPIRED) == 0


def test_idle_session_of_a_living_process_is_left_alone() -> None:
    assert list(departed([session(os.getpid(), where=machine())])) == []


@pytest.mark.parametrize("pid", [0, -1, -(2**30), 2**40])
def test_idle_session_with_an_impossible_process_id_is_left_alone(pid: int) -> None:
    assert list(departed([session(pid, where=machine())])) == []


def test_idle_session_of_another_container_is_left_alone(gone: int) -> None:
    assert list(departed([session(gone, where="another boot:4026531836")])) == []


def test_session_without_machine_id_is_judged_by_its_host(gone: int) -> None:
    assert list(departed([session(gone)])) == [Expire(0, "other", 7)]
    assert list(departed([session(gone, host="elsewhere")])) == []


def test_worker_announces_its_machine_on_joining() -> None:
    fact, context = joining("w", 15_000, {"work": Accepts()}, EVERYTHING, 1)
    assert fact.machine == machine()
    assert machine().encode() in context


def test_processes_of_one_machine_agree_on_its_id() -> None:
    code = "from journeyman.workers.loop.machine import machine; print(machine())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == machine()
