"""The mistakes of a newcomer who follows the tutorial: each answer says what came, what was expected and what to do."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import journeyman as jm
import pytest
from ordinary import open_directory, run_as_ordinary
from support.forks import Forker
from support.sentences import assert_one_sentence

Worker = Callable[[Path, str], "subprocess.CompletedProcess[str]"]
Run = Callable[..., "subprocess.CompletedProcess[str]"]
SUBMISSIONS: Final = "`journeyman tail --topic task.submitted --since 1h` shows what was submitted"
JOURNAL: Final = "sqlite:///shop.db"

# What is typed, the exit status, and the parts of the sentence: what came, what was expected, the next step.
MISTAKES: Final[dict[str, tuple[list[str], int, tuple[str, ...]]]] = {
    "command": (["wrker", "shop.tasks"], 2, ("'wrker'", "Did you mean 'worker'?", "See 'journeyman --help'")),
    "sub-command": (["dlq", "lst"], 2, ("'lst'", "Did you mean 'list'?", "See 'journeyman dlq --help'")),
    "option": (["why", "welcome", "--journl", "x"], 2, ("--journl", "--journal", "See 'journeyman why --help'")),
    "no package": (["worker"], 2, ("PACKAGE", "See 'journeyman worker --help'")),
    "no task": (["submit"], 2, ("TASK", "See 'journeyman submit --help'")),
    "number": (["submit", "add", "--priority", "-1"], 2, ("--priority", "greater than or equal to 0", "got '-1'. See")),
    "package": (["submit", "shp.tasks:add"], 2, ("'shp.tasks'", "did you mean shop.tasks?")),
    "module": (["submit", "shop.taks:add"], 2, ("'shop.taks'", "did you mean shop.tasks?")),
    "task": (["submit", "shop.tasks:ad"], 2, ("no task 'ad'", "it has add, paint, read")),
    "task left out": (["submit", "shop.tasks"], 2, ("shop.tasks is a module", "expected such as shop.tasks:send")),
    "file for a module": (["worker", "shop/tasks.py"], 2, ("'shop/tasks.py'", "did you mean shop.tasks?")),
    "JSON": (["submit", "add", "--kwargs", "{to: ada}"], 2, ("takes a JSON object such as", "got '{to: ada}'")),
    "JSON array": (["submit", "add", "--args", '{"to": 1}'], 2, ("takes a JSON array such as", "got '{\"to\": 1}'")),
    "argument": (["submit", "shop.tasks:add", "--kwargs", '{"c": 1}'], 2, ("add(a, b)", "argument: 'a'", "got 0 pos")),
    "taken id": (["submit", "add", "--id", "welcome"], 2, ("'welcome' already", "submit under another one")),
    "id to history": (["history", "welcom"], 1, ("no task welcom.", "is it the right journal?", SUBMISSIONS)),
    "id to dlq show": (["dlq", "show", "welcom"], 1, ("no task welcom.", "is it the right journal?", SUBMISSIONS)),
    "moment": (["status", "--as-of", "teatime"], 2, ("takes a time such as 14:05", "got 'teatime'")),
    "moment to come": (["status", "--as-of", "2099-01-01"], 2, ("takes a moment of the past", "'2099-01-01'")),
    "port": (["serve", "--port", "99999"], 2, ("less than or equal to 65535", "got '99999'. See")),
}
JOURNALS: Final = {
    "": ("no journal given", "set JOURNEYMAN_JOURNAL", "sqlite:///shop.db"),
    "shop.db": ("got 'shop.db'", "expected a journal's URL such as sqlite:///shop.db"),
    "sqlite://shop.db": ("got 'sqlite://shop.db'", "three or four slashes"),
    "sqlit:///shop.db": ("got 'sqlit:///shop.db'", "Did you mean sqlite://?"),
    "sqlite:///shp.db": ("no journal at", "shp.db", "from the directory in which the program runs"),
    "sqlite:///data/shop.db": ("there is no directory", "data", "Create it first"),
    "sqlite:///shop": ("shop is a directory", "Name a file"),
    "sqlite:///shop/tasks.py": ("is not an SQLite database", "Name another file"),
    "http://127.0.0.1:1": ("127.0.0.1:1 does not answer", "Start it with `journeyman serve`"),
}


@pytest.fixture
def journal(shop: Path) -> Path:
    """The shop, with a journal that holds one task."""
    with jm.Journal(f"sqlite:///{shop / 'shop.db'}") as journal:
        jm.Broker(journal).submit(jm.Message(task_name="add", args=[1, 2], uuid="welcome"))
    return shop


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_answered_with_the_next_step(journal: Path, call: Run, run: Run, mistake: str) -> None:
    arguments, status, parts = MISTAKES[mistake]
    type_it = run if arguments[0] == "worker" else call
    assert_one_sentence(type_it(*arguments, JOURNEYMAN_JOURNAL=JOURNAL), status, *parts)


@pytest.mark.parametrize("url", JOURNALS)
def test_wrong_journal_is_answered_with_the_right_form(journal: Path, call: Run, url: str) -> None:
    done = call("why", "welcome", JOURNEYMAN_JOURNAL=url)
    assert_one_sentence(done, done.returncode, *JOURNALS[url])
    assert done.returncode in (1, 2)


@pytest.mark.parametrize("act", [("revoke", "--yes"), ("requeue",), ("dlq", "requeue"), ("dlq", "purge", "--yes")])
def test_act_on_an_unknown_id_names_the_next_step(journal: Path, call: Run, act: tuple[str, ...]) -> None:
    done = call(*act, "welcom", JOURNEYMAN_JOURNAL=JOURNAL)
    said = f"welcom is not known to the journal {journal / 'shop.db'}; {SUBMISSIONS}\n"
    assert (done.returncode, done.stdout) == (1, said)


def test_act_in_vain_names_the_next_step(journal: Path, call: Run) -> None:
    done = call("requeue", "welcome", JOURNEYMAN_JOURNAL=JOURNAL)
    words = "is no dead letter; nothing was changed; `journeyman why welcome` shows its state"
    assert (done.returncode, done.stdout) == (1, f"welcome {words}\n")
    call("revoke", "welcome", "--yes", JOURNEYMAN_JOURNAL=JOURNAL)
    again = call("revoke", "welcome", "--yes", JOURNEYMAN_JOURNAL=JOURNAL)
    assert again.stdout.endswith("has ended already; nothing was changed; `journeyman why welcome` shows its state\n")


def test_why_of_an_unknown_id_names_the_next_step(journal: Path, call: Run) -> None:
    done = call("why", "unheard-of", JOURNEYMAN_JOURNAL=JOURNAL)
    assert done.stdout.startswith("- The journal knows no task unheard-of.")
    assert SUBMISSIONS in done.stdout
    assert str(journal / "shop.db") in done.stderr


def test_pause_of_an_unused_queue_names_those_in_use(journal: Path, call: Run) -> None:
    done = call("pause", "defualt", JOURNEYMAN_JOURNAL=JOURNAL)
    assert (done.returncode, done.stdout) == (0, "queue defualt paused\n")
    assert "no task is in the queue defualt" in done.stderr
    assert "the queues in use are default. If the name is mistyped" in done.stderr
    assert call("pause", "default", JOURNEYMAN_JOURNAL=JOURNAL).stderr == ""


def test_result_without_a_worker_names_the_next_step(journal: Path) -> None:
    with jm.Journal(f"sqlite:///{journal / 'shop.db'}") as opened:
        results = jm.ResultStore(opened)
        with pytest.raises(TimeoutError, match="'welcome' after 1 ms: waits to be run; see `journeyman why welcome`"):
            results.get("welcome", timeout=1)
        with pytest.raises(KeyError, match=f"no such task is known to the journal .*; {SUBMISSIONS}"):
            results.get("welcom")


@pytest.mark.parametrize(("option", "text"), [("--topic", "tsk"), ("--key", "welcom")])
def test_tail_without_an_event_names_its_filter(journal: Path, call: Run, option: str, text: str) -> None:
    done = call("tail", option, text, "--no-follow", JOURNEYMAN_JOURNAL=JOURNAL)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.endswith(f" {text} was found; `journeyman tail --no-follow` shows all events\n")


def test_group_without_its_command_names_the_help(call: Run) -> None:
    done = call("dlq")
    assert done.returncode == 2
    assert done.stderr.endswith("journeyman: Missing command. See 'journeyman dlq --help'.\n")


def test_waiting_task_without_a_worker_is_explained(journal: Path, call: Run) -> None:
    said = call("why", "welcome", JOURNEYMAN_JOURNAL=JOURNAL).stdout
    assert "No worker is running" in said
    assert "`journeyman worker PACKAGE` starts one" in said


class TestDirectory:
    """Commands that are typed in another directory than the one that holds the package."""

    @pytest.fixture
    def worker(self, forks: Forker) -> Worker:
        """Start a worker of that package in that directory; it refuses to run."""

        def start(directory: Path, package: str) -> "subprocess.CompletedProcess[str]":
            done = forks.run("worker", package, "--journal", JOURNAL, directory=directory)
            return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

        return start

    @pytest.fixture
    def project(self, shop: Path) -> Path:
        """A directory `shop` that holds the package `shop`, as `journeyman init shop` makes it."""
        project = shop / "work" / "shop"
        project.mkdir(parents=True)
        (shop / "shop").rename(project / "shop")
        return project

    def test_package_is_found_below(self, worker: Worker, project: Path) -> None:
        done = worker(project.parent, "shop.tasks")
        assert_one_sentence(done, 2, "no package or module 'shop.tasks'", f"in {project}", "after `cd shop`")

    def test_project_directory_is_no_package(self, worker: Worker, project: Path) -> None:
        """Without this, Python would import it as a namespace, and its modules under names that the code has not."""
        done = worker(project.parent, "shop")
        assert_one_sentence(done, 2, f"shop in {project.parent} is no package", "holds the package", "after `cd shop`")
        assert not list(project.parent.glob("*.db"))

    def test_package_is_found_above(self, worker: Worker, project: Path) -> None:
        done = worker(project / "shop", "shop.tasks")
        assert_one_sentence(done, 2, "no package or module 'shop.tasks'", f"in {project}:", "after `cd ..`")

    def test_package_without_its_init_runs(self, shop: Path, start: Callable[..., "subprocess.Popen[str]"]) -> None:
        (shop / "shop" / "__init__.py").unlink()
        worker = start("worker", "shop.tasks", "--journal", JOURNAL)
        assert worker.stdout is not None
        assert "is ready" in worker.stdout.readline()


def test_taken_port_is_answered_with_another(journal: Path, call: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = call("serve", "--port", str(port), JOURNEYMAN_JOURNAL=JOURNAL)
    words = f"cannot listen on 127.0.0.1 port {port}", "name another port with --port, or 0 for a free one"
    assert_one_sentence(done, 1, *words)


@pytest.mark.parametrize(
    ("library", "command", "extra"),
    [("litestar", ["serve"], "service"), ("textual", ["top"], "tui"), ("aiokafka", ["status"], "kafka")],
)
def test_missing_extra_is_named(journal: Path, library: str, command: list[str], extra: str) -> None:
    (journal / f"{library}.py").write_text(f"raise ModuleNotFoundError('No module named {library}', name={library!r})")
    url = "kafka://127.0.0.1:9092/shop" if extra == "kafka" else JOURNAL
    done = subprocess.run(
        [sys.executable, "-m", "journeyman", *command, "--journal", url],
        cwd=journal,
        env={**os.environ, "PYTHONPATH": str(journal)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert_one_sentence(done, 2, f"pip install 'journeyman[{extra}]'")


def test_missing_permission_is_answered_with_what_to_give() -> None:
    with open_directory() as directory:
        path = directory / "shop.db"
        with jm.Journal(f"sqlite:///{path}") as journal:
            journal.append("shop.opened")
        path.chmod(0)
        directory.chmod(0o555)
        for file, words in (("shop.db", "no permission to read and write it"), ("new.db", "no permission to write in")):
            command = ["-m", "journeyman", "submit", "add", "--journal", f"sqlite:///{directory / file}"]
            done = run_as_ordinary(*command, cwd=str(directory))
            assert_one_sentence(done, 1, words, "Give the user of this process that permission")
