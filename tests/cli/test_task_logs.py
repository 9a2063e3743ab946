"""The log records of tasks, with task and id: shown by the worker, in every mechanism, or by the program's handlers."""

import json
import subprocess
import sys
from pathlib import Path

import journeyman as jm
import pytest

TASKS = """
import asyncio, logging
import journeyman as jm

{configuration}
log = logging.getLogger("shop.mail")
broker = jm.Broker()


def note(to):
    log.info("sending to %s", to)
    log.debug("not shown")


@jm.task(broker)
def by_thread(to):
    note(to)


@jm.task(broker, mechanism="process")
def by_process(to):
    note(to)


@jm.task(broker)
async def by_coroutine(to):
    await asyncio.sleep(0)
    note(to)
"""
OWN = """
class Lines(logging.Handler):
    def emit(self, record):
        fields = {"message": record.getMessage(), "task": record.task, "id": record.task_id}
        with open("own.jsonl", "a") as file:
            file.write(__import__("json").dumps(fields) + "\\n")

logging.getLogger().addHandler(Lines())
logging.getLogger("shop").setLevel(logging.INFO)
"""
MECHANISMS = {"thread": (), "process": (), "coroutine": (), "group": ("--thread-processes", "1")}


def logged(tmp_path: Path, mechanism: str, configuration: str) -> tuple[str, jm.Message]:
    """The stderr of a worker that runs one task, and the message."""
    (tmp_path / "mail.py").write_text(TASKS.replace("{configuration}", configuration))
    url = f"sqlite:///{tmp_path}/mail.db"
    options = ["--journal", url, *MECHANISMS[mechanism]]
    command = [sys.executable, "-m", "journeyman", "worker", "mail", *options]
    with (
        jm.Journal(url) as journal,
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as worker,
    ):
        try:
            name = f"by_{mechanism.replace('group', 'thread')}"
            kind = {"thread": "thread", "process": "process", "coroutine": "async", "group": "thread"}[mechanism]
            message = jm.Message(task_name=name, args=["ada"], mechanism=kind)
            jm.Broker(journal).submit(message)
            assert jm.ResultStore(journal).get(message, timeout=60_000) is None
            worker.terminate()
            _, shown = worker.communicate(timeout=60)
        finally:
            worker.kill()
    return shown, message


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_task_logs_are_shown_with_task_and_id(tmp_path: Path, mechanism: str) -> None:
    shown, message = logged(tmp_path, mechanism, "")
    (line,) = (line for line in shown.splitlines() if "sending to ada" in line)
    assert f"INFO    [{message.task_name} {message.uuid}] sending to ada" in line
    assert "not shown" not in shown


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_user_logging_configuration_is_left_alone(tmp_path: Path, mechanism: str) -> None:
    shown, message = logged(tmp_path, mechanism, OWN)
    assert "sending to ada" not in shown
    lines = [json.loads(line) for line in (tmp_path / "own.jsonl").read_text().splitlines()]
    ours = {"message": "sending to ada", "task": message.task_name, "id": message.uuid}
    assert [line for line in lines if line["message"].startswith("sending")] == [ours]
