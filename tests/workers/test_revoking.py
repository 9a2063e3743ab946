"""Revoking a running task stops it by the means of its timeout, and frees its place; real workers."""

import os
import subprocess
import sys
from pathlib import Path

import journeyman as jm
import pytest
from support.waiting import wait_until
from task_modules import revoked_tasks

OPTIONS = {
    "thread": ("--threads", "1"),
    "group": ("--threads", "1", "--thread-processes", "1"),
    "process": ("--processes", "1"),
    "async": ("--coroutines", "1"),
}


@pytest.mark.parametrize("mechanism", OPTIONS)
def test_revoked_task_is_stopped_and_its_place_is_free(tmp_path: Path, mechanism: str) -> None:
    kind = mechanism.replace("group", "thread")
    held, after = (vars(revoked_tasks)[f"{name}_{kind}"] for name in ("held_by", "after"))
    url = f"sqlite:///{tmp_path}/revoked.db"
    marks = tmp_path / "marks"
    command = [sys.executable, "-m", "journeyman", "worker", "task_modules.revoked_tasks", "--journal", url]
    with (
        jm.Journal(url) as journal,
        subprocess.Popen(
            [*command, "--mechanism", kind, *OPTIONS[mechanism]],
            cwd=Path(revoked_tasks.__file__).parents[1],
            env={**os.environ, "YARD": str(tmp_path)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as worker,
    ):
        try:
            broker = jm.Broker(journal)
            first, second = held.generate(submit=False), after.generate(submit=False)
            broker.submit(first)
            wait_until(lambda: marks.exists() and "held" in marks.read_text(), "the task to run")
            broker.submit(second)
            broker.revoke(first)
            assert jm.ResultStore(journal).get(second, timeout=60_000) == 1, "the only place is free again"
            update = jm.StatusTracker(journal).get(first)
            assert update.details is not None
            assert (update.status, update.details["revoked"]) == (jm.TaskStatus.FAILED, True)
            worker.terminate()
            _, log = worker.communicate(timeout=60)
            assert worker.returncode == 0
        finally:
            worker.kill()
    assert f"task {first.task_name} {first.uuid} was revoked: stopping its run" in log
    assert "had lost its claim" not in log
