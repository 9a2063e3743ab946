"""The hooks of tasks: which are called, in which process, and that an error in one changes nothing; real workers."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import journeyman as jm
import pytest
from journeyman.tasks.failure import ExceptionFacts
from journeyman.workers.loop.hooks import OutcomeHooks, made_again
from support.waiting import wait_until
from task_modules import hooked_tasks

OPTIONS = {
    "thread": ("--threads", "2"),
    "group": ("--threads", "2", "--thread-processes", "1"),
    "process": ("--processes", "2"),
    "async": ("--coroutines", "2"),
}

BROKEN = ("pre_op", "post_op", "on_success")


class Yard:
    """A journal, a worker for one mechanism, and the file into which the hooks write."""

    def __init__(self, path: Path, worker: "subprocess.Popen[str]", journal: jm.Journal, kind: str) -> None:
        self.path, self.worker, self.journal, self.kind = path, worker, journal, kind

    def task(self, name: str) -> jm.Task[Any, Any]:
        """The task of that name for the mechanism, which submits to this journal."""
        task: jm.Task[Any, Any] = vars(hooked_tasks)[f"{name}_{self.kind}"]
        task.broker.bind(self.journal)
        return task

    def calls(self, message: jm.Message) -> list[dict[str, Any]]:
        """The calls of hooks for a message so far."""
        file = self.path / "hooks"
        lines = file.read_text().splitlines() if file.exists() else []
        return [call for call in map(json.loads, lines) if call["task"] == message.uuid]

    def hooks(self, message: jm.Message) -> list[str]:
        """The names of the hooks called so far, in their order."""
        return [call["hook"] for call in self.calls(message)]

    def called(self, message: jm.Message, hook: str) -> dict[str, Any]:
        """Wait for a call, and return it."""
        wait_until(lambda: hook in self.hooks(message), f"a call of {hook}", timeout=120.0)
        return next(call for call in self.calls(message) if call["hook"] == hook)


@contextmanager
def yard(tmp_path: Path, mechanism: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    kind = mechanism.replace("group", "thread")
    url = f"sqlite:///{tmp_path}/hooks.db"
    monkeypatch.setenv("YARD", str(tmp_path))
    command = [sys.executable, "-m", "journeyman", "worker", "task_modules.hooked_tasks", "--journal", url]
    with (
        jm.Journal(url) as journal,
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            [*command, "--mechanism", kind, *OPTIONS[mechanism]],
            cwd=Path(hooked_tasks.__file__).parents[1],
            env=dict(os.environ),
            stdout=subprocess.DEVNULL,
            stderr=log,
            text=True,
        ) as worker,
    ):
        try:
            yield Yard(tmp_path, worker, journal, kind)
            worker.terminate()
            assert worker.wait(120) == 0
        finally:
            worker.kill()


@pytest.mark.parametrize("mechanism", OPTIONS)
def test_hooks_run_on_their_side_in_order(tmp_path: Path, mechanism: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with yard(tmp_path, mechanism, monkeypatch) as here:
        message = here.task("add").generate([1])
        result = jm.ResultStore(here.journal).get(message, timeout=120_000)
        here.called(message, "on_success")
        hooks = here.hooks(message)
        assert [each for each in hooks if each in ("pre_op", "post_op")] == ["pre_op", "post_op"] * 2
        assert [each for each in hooks if each not in ("pre_op", "post_op")] == ["on_submit", "on_retry", "on_success"]
        calls = here.calls(message)
        pids = {call["hook"]: call["pid"] for call in calls}
        assert pids["on_submit"] == os.getpid(), "in the program that submits"
        assert pids["pre_op"] == pids["post_op"] == result[0], "where the task runs"
        assert pids["on_success"] == pids["on_retry"] == here.worker.pid, "in the worker's own process"
        assert (mechanism in ("group", "process")) == (result[0] != here.worker.pid)
        said = {call["hook"]: (call["said"], call["retries"]) for call in calls}
        assert said["on_retry"] == (["ConnectionError: attempt 1"], 0)
        assert {call["hook"]: call.get("details") for call in calls}["on_retry"] == ["ConnectionError", "attempt 1"]
        assert said["on_success"] == ([result], 1)
        assert [call["said"] for call in calls if call["hook"] == "post_op"] == [[None], [result]]


@pytest.mark.parametrize("mechanism", OPTIONS)
def test_failure_hook_is_called_for_the_last_attempt(
    tmp_path: Path, mechanism: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with yard(tmp_path, mechanism, monkeypatch) as here:
        message = here.task("add").generate([5])
        call = here.called(message, "on_failure")
        assert (call["said"], call["retries"]) == (["ConnectionError: attempt 2"], 1)
        assert call["details"] == ["ConnectionError", "attempt 2"]
        assert jm.StatusTracker(here.journal).get(message).status is jm.TaskStatus.FAILED, "the outcome came before"
        assert here.hooks(message).count("on_retry") == 1


@pytest.mark.parametrize("mechanism", OPTIONS)
def test_retry_hook_is_called_for_an_uncounted_attempt(
    tmp_path: Path, mechanism: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with yard(tmp_path, mechanism, monkeypatch) as here:
        message = here.task("ask").generate()
        assert jm.ResultStore(here.journal).get(message, timeout=120_000) == [0]
        call = here.called(message, "on_retry")
        assert (call["retries"], call["pid"]) == (0, here.worker.pid)
        assert call["said"][0].startswith("RetryAfter: it asked to run again at 2")


@pytest.mark.parametrize("mechanism", OPTIONS)
def test_revocation_hook_is_called_when_the_run_has_ended(
    tmp_path: Path, mechanism: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with yard(tmp_path, mechanism, monkeypatch) as here:
        task = here.task("hold")
        message = task.generate()
        here.called(message, "held")
        assert task.revoke(message, skip_if_running=True).disposition is jm.Disposition.RUNNING
        assert not task.is_revoked(message)
        assert task.revoke(message)
        assert task.is_revoked(message)
        call = here.called(message, "on_revocation")
        assert call["pid"] == here.worker.pid
        assert call["said"] == [f"RevokedError: {message.task_name} {message.uuid} was revoked", None]
        hooks = here.hooks(message)
        assert not {"on_retry", "on_failure", "on_success"} & set(hooks)
        assert ("post_op" in hooks) == (mechanism != "process"), "a killed process calls no more hooks"


def test_removal_of_a_running_task_calls_no_hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with yard(tmp_path, "thread", monkeypatch) as here:
        task = here.task("hold")
        removed, revoked = task.generate(), task.generate()
        here.called(removed, "held")
        here.called(revoked, "held")
        assert task.broker.remove(removed).disposition is jm.Disposition.REVOKED
        refused = f"what came of task {removed.uuid} after it was revoked is not recorded"
        wait_until(lambda: refused in (tmp_path / "log").read_text(), "the end of the removed task", timeout=120.0)
        task.revoke(revoked)
        here.called(revoked, "on_revocation")
        assert "on_revocation" not in here.hooks(removed)


@pytest.mark.parametrize("mechanism", OPTIONS)
def test_broken_hooks_change_nothing_and_execute_counts(
    tmp_path: Path, mechanism: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with yard(tmp_path, mechanism, monkeypatch) as here:
        message = here.task("broken").generate([21])
        assert jm.ResultStore(here.journal).get(message, timeout=120_000) == 42
        log = here.path / "log"
        lines = [f"{hook} of task {message.task_name} {message.uuid} has failed" for hook in BROKEN]
        wait_until(lambda: all(line in log.read_text() for line in lines), f"these lines: {lines}")
        assert all(f"broken {hook}" in log.read_text() for hook in BROKEN)


def test_failure_hook_is_called_for_a_process_that_died(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with yard(tmp_path, "process", monkeypatch) as here:
        message = here.task("die").generate()
        call = here.called(message, "on_failure")
        assert call["pid"] == here.worker.pid
        assert call["said"] == ["ProcessDiedError: the process died with SIGKILL"]
        assert "post_op" not in here.hooks(message)


def test_waiting_task_is_revoked_with_skip_if_running(tmp_path: Path) -> None:
    with jm.Journal(f"sqlite:///{tmp_path}/waiting.db") as journal:
        task = jm.Task(lambda: 1, jm.Broker(journal), "work")
        message = task.generate()
        assert task.revoke(message, skip_if_running=True).disposition is jm.Disposition.REVOKED
        assert task.revoke(message, skip_if_running=True).disposition is jm.Disposition.ALREADY_ENDED
        assert task.revoke("unknown", skip_if_running=True).disposition is jm.Disposition.UNKNOWN


def test_task_without_hooks_has_none_and_costs_no_call() -> None:
    task = jm.Task(lambda: 1, jm.Broker("memory://"), "work")
    assert (task.hooks, task.hooks_around_run) == (frozenset(), False)
    assert not OutcomeHooks({"work": task}).any
    assert OutcomeHooks({"work": hooked_tasks.add_thread}).any


def test_deferred_message_is_made_and_not_submitted() -> None:
    with jm.Journal("memory://") as journal:
        task = jm.Task(lambda: 1, jm.Broker(journal), "work")
        assert task.defer().deferred
        held = task.generate()
        assert not task.deferred, "for one message"
        assert not jm.StatusTracker(journal).exists(held)
        assert jm.StatusTracker(journal).exists(task.generate())
        assert not task.defer().cancel_defer().deferred
        assert jm.StatusTracker(journal).exists(task.generate())


def test_exception_is_made_again_from_its_description() -> None:
    facts = ExceptionFacts("journeyman.tasks.errors.ProcessDiedError", "gone", "Traceback")
    error = made_again(facts)
    assert (type(error).__name__, str(error), error.__notes__) == ("ProcessDiedError", "gone", ["Traceback"])
    plain = made_again(ExceptionFacts("KeyError", "x"))
    assert isinstance(plain, KeyError)
    assert not hasattr(plain, "__notes__")
    assert str(made_again(ExceptionFacts("nowhere.Odd", "x"))) == "nowhere.Odd: x"
    assert str(made_again(ExceptionFacts("UnicodeDecodeError", "x"))) == "UnicodeDecodeError: x"
