"""Tasks that start programs and fork processes, which end by a signal."""

import ctypes
import multiprocessing
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import journeyman as jm
from support.waiting import wait_until
from task_modules.daemon_tasks import broker

_PATIENCE_SECONDS = 10  # so that no test leaves anything behind
# A signal that a process forked by a thread gets before it waits is lost in Python 3.13, without a worker too.
_SIGNALS_MAX = 10


def _ended_by(number: int) -> dict[str, int | None]:
    """How a program and a forked process have ended."""
    program = subprocess.Popen(["sleep", "4324"])
    try:
        program.send_signal(number)
        ended = {"program": program.wait(_PATIENCE_SECONDS)}
    finally:
        program.kill()
    return ended | {"process": _fork_ended_by(number, at_once=False)}


def _fork_ended_by(number: int, *, at_once: bool) -> int | None:
    reading, writing = os.pipe()
    process = multiprocessing.get_context("fork").Process(target=_runs, args=[writing])
    process.start()
    assert process.pid is not None
    try:
        if not at_once:
            os.read(reading, 1)
        signals = 1 if at_once else _SIGNALS_MAX
        while process.exitcode is None and signals:
            os.kill(process.pid, number)
            process.join(_PATIENCE_SECONDS / signals)
            signals -= 1
        return process.exitcode
    finally:
        process.kill()
        process.join()
        os.close(reading)
        os.close(writing)


def _runs(writing: int) -> None:
    os.write(writing, b"!")
    threading.Event().wait()


def terminates() -> dict[str, int | None]:
    """Ends what it starts by SIGTERM."""
    return _ended_by(signal.SIGTERM) | {"at once": _fork_ended_by(signal.SIGTERM, at_once=True)}


def interrupts() -> dict[str, int | None]:
    """Ends what it starts by SIGINT; not at once, since Python itself may lose one that comes as it forks."""
    return _ended_by(signal.SIGINT)


def waits_in_c() -> int:
    """How a call in C ends, to which signals for all processes of a terminal have come meanwhile."""
    reading, writing = os.pipe()
    waiting = threading.get_native_id()

    def signal_it() -> None:
        status = Path(f"/proc/self/task/{waiting}/syscall")
        wait_until(lambda: status.read_text().split()[1:2] == [hex(reading)], "the call to wait")
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.pthread_kill(threading.main_thread().ident or 0, number)
        os.write(writing, b"!")

    threading.Thread(target=signal_it).start()
    return int(ctypes.CDLL(None).read(reading, ctypes.create_string_buffer(1), 1))


def _made(function: Callable[[], object], mechanism: str) -> jm.Task[[], object]:
    name = f"{function.__name__} {mechanism}"
    return jm.task(broker, name=name, mechanism=mechanism, max_retries=0)(function)


terminates_in_process = _made(terminates, "process")
interrupts_in_process = _made(interrupts, "process")
waits_in_c_in_process = _made(waits_in_c, "process")
terminates_in_thread = _made(terminates, "thread")
interrupts_in_thread = _made(interrupts, "thread")


def _fork(fails: bool) -> list[int]:
    """Forks, and comes to its end in both processes; the status of the child's."""
    pid = os.fork()
    if not pid:
        if fails:
            raise ValueError("in the forked process")
        return [-1]
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]


@jm.task(broker, max_retries=0)
def forks_in_thread(*, fails: bool) -> list[int]:
    return _fork(fails)


@jm.task(broker, mechanism="process", max_retries=0)
def forks_in_process(*, fails: bool) -> list[int]:
    return _fork(fails)


@jm.task(broker, max_retries=0)
async def forks_in_loop(*, fails: bool) -> list[int]:
    return _fork(fails)


@jm.task(broker, mechanism="process")
def import_path() -> tuple[str | None, list[str]]:
    """The import path that a started program gets, and our variables that it should not get."""
    return os.environ.get("PYTHONPATH"), [name for name in os.environ if "CHILD_PATH" in name]
