"""The pytest plugin, as a user has it: in a project of its own, with nothing but an import of its tasks."""

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

TASKS = """
import asyncio
import journeyman as jm

broker = jm.Broker()  # the environment names the journal

@jm.task(broker, max_retries=1)
def greet(name):
    if not name:
        raise ValueError("no name")
    return f"hello, {name}"

@jm.task(broker)
async def nap(hours):
    await asyncio.sleep(hours * 3_600)
    return hours
"""
TESTS = """
import asyncio
import unittest

import journeyman as jm
import pytest
from shop.tasks import greet, nap

def test_sync(journeyman_workbench):
    message = greet.generate(["ada"])
    later = greet.generate(["bob"], delay=3_600_000)
    journeyman_workbench.run_until_idle()
    assert journeyman_workbench.result(message) == "hello, ada"
    journeyman_workbench.advance(hours=1)
    journeyman_workbench.assert_succeeded(later)

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio
async def test_async(journeyman_workbench):
    message, other = await nap.generate_async([0.5]), greet.generate(["ada"])
    journeyman_workbench.run_until_idle()
    await asyncio.sleep(0.001)
    assert journeyman_workbench.result(message) == 0.5
    assert journeyman_workbench.result(other) == "hello, ada"

def test_task_by_name(journeyman_workbench):
    message = jm.Message(task_name="greet", args=["eve"])
    greet.broker.submit(message)
    journeyman_workbench.run_until_idle()
    journeyman_workbench.assert_succeeded(message)

def test_that_fails(journeyman_workbench):
    message = greet.generate([""])
    journeyman_workbench.advance(hours=1)
    journeyman_workbench.assert_succeeded(message)

def test_without_it():
    assert 1 + 1 == 2

class TestOldStyle(unittest.TestCase):
    def setUp(self):
        from journeyman.testing import Workbench
        self.workbench = self.enterContext(Workbench())

    def test_greeting(self):
        message = greet.generate(["ada"])
        self.workbench.run_until_idle()
        self.assertEqual(self.workbench.result(message), "hello, ada")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with tasks and tests."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "tasks.py").write_text(TASKS)
    (tmp_path / "test_shop.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\njourneyman_tasks = shop.tasks\npythonpath = .\nfilterwarnings = error\n"
    )
    return tmp_path


def run(project: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the project's tests, in a process without this one's settings; its journal would be a file of that name."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    return subprocess.run(
        [str(Path(sys.executable).with_name("pytest")), *arguments],
        cwd=project,
        env=environment | {"JOURNEYMAN_JOURNAL": f"sqlite:///{project}/real.db"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_plugin_is_declared_for_pytest() -> None:
    assert "journeyman.testing.plugin" in {each.value for each in entry_points(group="pytest11")}


def test_fixture_serves_the_tests_of_a_project(project: Path) -> None:
    done = run(project, "-q", "-p", "no:randomly")
    assert "1 failed, 5 passed" in done.stdout, done.stdout + done.stderr
    assert "the task greet" in done.stdout
    assert "was expected to have succeeded; it has failed after 2 attempts" in done.stdout
    assert ">       journeyman_workbench.assert_succeeded(message)" in done.stdout, "the line of the test is shown"
    assert 'raise ValueError("no name")' in done.stdout
    assert not (project / "real.db").exists()


def test_plugin_imports_nothing_until_it_is_asked(project: Path) -> None:
    (project / "test_shop.py").write_text(
        "import sys\n\ndef test_rooms():\n"
        "    rooms = {'journal', 'consumers', 'tasks', 'workers'}\n"
        "    assert not {f'journeyman.{room}' for room in rooms} & set(sys.modules)\n"
    )
    done = run(project, "-q")
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_fixture_is_listed_with_what_it_does(project: Path) -> None:
    done = run(project, "--fixtures", "-q")
    assert "A workbench: until the test ends, what is submitted goes to its journal" in done.stdout
