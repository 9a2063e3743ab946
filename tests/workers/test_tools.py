"""The tools that users touch, by the names of the reference."""

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import journeyman as jm
import pytest
from support.waiting import wait_until
from task_modules import pool_tasks


@pytest.fixture
def package_level() -> Iterator[None]:
    """The level of the package's logger, put back."""
    logger = jm.get_logger()
    before = logger.level
    yield
    logger.setLevel(before)


def test_tasks_are_collected_by_name_and_from_a_module() -> None:
    by_name = jm.collect_tasks(pool_tasks.__name__)
    assert isinstance(by_name, tuple)
    assert by_name == jm.collect_tasks(pool_tasks)
    assert by_name
    assert all(isinstance(task, jm.Task) for task in by_name)


def test_module_without_a_file_is_searched_itself() -> None:
    made: Any = ModuleType("made")
    made.add = jm.Task(len, jm.Broker("memory://"), "add")
    assert jm.collect_tasks(made) == (made.add,)
    with pytest.raises(jm.NoTasksFoundError, match="empty has no tasks"):
        jm.collect_tasks(ModuleType("empty"))
    with pytest.raises(jm.NoTasksFoundError, match="there is no package or module"):
        jm.collect_tasks("no_such_package")


def test_processors_are_counted_with_one_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for count, expected in ((8, 7), (1, 1), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda count=count: count)
        assert jm.smart_cpu_count() == expected


@pytest.mark.parametrize("level", [logging.ERROR, "error", "ERROR"])
@pytest.mark.usefixtures("package_level")
def test_logging_is_set_up_by_number_or_name(level: int | str) -> None:
    jm.setup_logging(level)
    assert jm.get_logger().level == logging.ERROR
    assert jm.get_logger().name == "journeyman"


@pytest.mark.parametrize("wrong", [15, "loud", None, True])
def test_level_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(jm.ValidationError, match=r"one of logging's"):
        jm.setup_logging(wrong)


def test_public_errors_are_exported() -> None:
    for name in ("MessageAlreadyExistsError", "MessageDoesNotExistsError", "TerminationError", "RevokedError"):
        assert issubclass(getattr(jm, name), jm.TaskError)


_LISTENING = """
import os, signal, sys, threading
from journeyman import StopSignalListener

with StopSignalListener() as listener:
    print(listener.received, listener.wait(0), flush=True)
    threads = [threading.Thread(target=listener.wait, args=[None]) for _ in range(3)]
    for thread in threads:
        thread.start()
    os.kill(os.getpid(), signal.SIGTERM)
    print(listener.wait(20_000), listener.received, flush=True)
    for thread in threads:
        thread.join()
print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
"""


def test_stop_signal_reaches_all_that_wait() -> None:
    done = subprocess.run([sys.executable, "-c", _LISTENING], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split("\n") == ["False False", "True True", "True", ""]


_INSISTING = """
import os, signal, sys
from journeyman.workers import tools

tools.SIGNAL_ECHO_SECONDS = 0.0
listener = tools.StopSignalListener(exit_override=sys.argv[1] == "True")
os.kill(os.getpid(), signal.SIGINT)
assert listener.wait(20_000)
os.kill(os.getpid(), signal.SIGINT)
print("still here")
"""


@pytest.mark.parametrize(("overrides", "ended"), [(True, (1, "")), (False, (0, "still here\n"))])
def test_second_signal_ends_the_process_if_wanted(overrides: bool, ended: tuple[int, str]) -> None:
    command = [sys.executable, "-c", _INSISTING, str(overrides)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == ended, done.stderr


def test_listener_is_stopped_by_the_program() -> None:
    before = signal.getsignal(signal.SIGTERM)
    listener, waited = jm.StopSignalListener([signal.SIGTERM]), list[bool]()
    waiting = threading.Thread(target=lambda: waited.append(listener.wait(None)))
    waiting.start()
    listener.stop()
    wait_until(lambda: waited == [True], "the thread that waits goes on")
    waiting.join()
    listener.close()
    assert signal.getsignal(signal.SIGTERM) is before


def test_listener_outside_the_main_thread_is_refused() -> None:
    errors: list[str] = []

    def listen() -> None:
        try:
            jm.StopSignalListener()
        except ValueError as error:
            errors.append(str(error))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert errors == ["a StopSignalListener receives signals only if the main thread creates it"]
