"""`journeyman worker --reload`, and a worker for several packages."""

import signal
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import journeyman as jm
import pytest
from journeyman.cli.reloading import stamps

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]


def task_package(directory: Path, name: str, body: str, task: str) -> None:
    package = directory / name
    package.mkdir(exist_ok=True)
    (package / "__init__.py").write_text(
        textwrap.dedent(f"""
            import journeyman as jm

            broker = jm.Broker()


            @jm.task(broker, name={task!r})
            def work():
                {body}
        """)
    )


def result(journal: jm.Journal, task: str) -> object:
    message = jm.Message(task_name=task)
    jm.Broker(journal).submit(message, new=True)
    return jm.ResultStore(journal).get(message, timeout=60_000)


def line_with(process: "subprocess.Popen[str]", words: str) -> str:
    """The next line of a process's output that holds these words."""
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return line
    raise AssertionError(f"the process has ended without saying {words!r}")


def test_worker_runs_the_tasks_of_several_packages(start: Start, shop: Path, url: str) -> None:
    task_package(shop, "webapp", "return 'web'", "web")
    task_package(shop, "logapp", "return 'log'", "log")
    worker = start("worker", "webapp", "logapp", "--journal", url)
    assert "tasks log, web" in line_with(worker, "is ready")
    with jm.Journal(url) as journal:
        assert (result(journal, "web"), result(journal, "log")) == ("web", "log")


def test_package_without_tasks_among_several_is_named(forked: Run, shop: Path, url: str) -> None:
    (shop / "empty.py").touch()
    done = forked("worker", "shop.tasks", "empty", "--journal", url)
    assert (done.returncode, "empty has no tasks" in done.stderr) == (2, True)


def test_same_name_in_two_packages_is_refused(forked: Run, shop: Path, url: str) -> None:
    task_package(shop, "webapp", "return 1", "same")
    task_package(shop, "logapp", "return 2", "same")
    done = forked("worker", "webapp", "logapp", "--journal", url)
    assert (done.returncode, "two tasks are called 'same', in webapp and logapp" in done.stderr) == (2, True)


def test_reloading_worker_runs_the_new_code_after_a_change(start: Start, shop: Path, url: str) -> None:
    task_package(shop, "webapp", "return 1", "web")
    worker = start("worker", "webapp", "--reload", "--journal", url, PYTHONDONTWRITEBYTECODE="1")
    line_with(worker, "is ready")
    with jm.Journal(url) as journal:
        assert result(journal, "web") == 1
        task_package(shop, "webapp", "return 'the new code'", "web")
        assert "webapp/__init__.py" in line_with(worker, "changed: ")
        line_with(worker, "is ready")
        assert result(journal, "web") == "the new code"
        (shop / "webapp" / "broken.py").write_text("this is no Python")
        line_with(worker, "changed: ")
        (shop / "webapp" / "broken.py").write_text("")
        line_with(worker, "is ready")
        assert result(journal, "web") == "the new code"
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=60) == 0


def test_reloading_worker_stopped_while_it_starts_ends_well(start: Start, shop: Path, url: str) -> None:
    (shop / "slow").mkdir()
    (shop / "slow" / "__init__.py").write_text("print('it starts', flush=True)\nimport time\ntime.sleep(60)\n")
    worker = start("worker", "slow", "--reload", "--journal", url, PYTHONDONTWRITEBYTECODE="1")
    line_with(worker, "it starts")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=60) == 0


@pytest.mark.parametrize("change", ["written", "added", "removed"])
def test_stamps_differ_after_any_change_of_python_files(tmp_path: Path, change: str) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "a.py").write_text("a = 1")
    (tmp_path / "alone.py").write_text("b = 1")
    (package / "notes.txt").write_text("no code")
    roots = [package, tmp_path / "alone.py"]
    before = stamps(roots)
    assert len(before) == 2
    (package / "notes.txt").write_text("no code either")
    assert stamps(roots) == before
    if change == "written":
        (package / "a.py").write_text("a = 22")
    elif change == "added":
        (package / "deep").mkdir()
        (package / "deep" / "b.py").touch()
    else:
        (package / "a.py").unlink()
    assert stamps(roots) != before
