"""The function behind a task: two packages with one name on one journal; functions that were renamed or moved."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import journeyman as jm
import pytest
from clashing import mail, sms
from journeyman.tasks.function_names import function_name
from journeyman.tasks.index.index import task_index
from journeyman.tasks.inspection.overview import overview
from journeyman.tasks.inspection.why import explain
from journeyman.tasks.state.decoding import dead_letter_context
from journeyman.tasks.state.identity import Accepts, is_same
from journeyman.tasks.state.selection import EVERYTHING, Selection
from journeyman.tasks.state.state import TaskKind
from journeyman.tasks.state.view import TaskView
from journeyman.workers.limits import WORKER_TASKS_CHARS_MAX
from journeyman.workers.loading import by_every_name
from journeyman.workers.loop.known_tasks import KnownTasks
from journeyman.workers.loop.registration import joining
from support.waiting import wait_until

TESTS = Path(__file__).parents[1]


@contextmanager
def worker(url: str, package: str, log: Path, *options: str) -> Iterator[None]:
    """A real worker of one package; its log is written to a file."""
    command = [sys.executable, "-m", "journeyman", "worker", package, "--journal", url, *options]
    with log.open("w") as lines, subprocess.Popen(command, cwd=TESTS, stdout=lines, stderr=lines) as process:
        try:
            wait_until(lambda: "ready" in log.read_text(), f"the worker of {package} to be ready")
            yield
        finally:
            process.terminate()
            process.wait(60)


def view_of(journal: jm.Journal) -> TaskView:
    view = TaskView()
    for event in journal.read(limit=1_000).events:
        view.apply(event)
    return view


def cli(url: str, *arguments: str) -> str:
    command = [sys.executable, "-m", "journeyman", *arguments, "--journal", url]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "400"})
    return " ".join(told.stdout.split())


def test_each_of_two_packages_runs_its_own_send(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    logs = tmp_path / "mail.log", tmp_path / "sms.log"
    with jm.Journal(url) as journal:
        broker, results = jm.Broker(journal), jm.ResultStore(journal)
        text, letter = (package.send.generate(["ada"], submit=False) for package in (sms, mail))
        shared = sms.given.generate(["ada"], submit=False)
        broker.submit_all([text, letter, shared])
        with worker(url, "clashing.mail", logs[0]):
            assert results.get(letter, timeout=60_000) == "mail to ada"
            assert results.get(shared, timeout=60_000) == "mail to ada", "both sides have given the name"
            assert jm.StatusTracker(journal).get(text).status is jm.TaskStatus.SUBMITTED
            assert "messages of the task send that were made for clashing.sms:send are left" in logs[0].read_text()
            why = cli(url, "why", text.uuid)
            assert "It was made for the function clashing.sms:send, and the only live worker that knows a task" in why
            assert "has clashing.mail:send under that name" in why
            seen = cli(url, "status")
            assert "since it was made for clashing.sms:send and workers have clashing.mail:send under that name" in seen
            with worker(url, "clashing.sms", logs[1]):
                assert results.get(text, timeout=60_000) == "sms to ada"
                assert "has clashing.mail:send under the name send, and this one has clashing.sms:send" in (
                    logs[1].read_text()
                )
                assert "the name shared" not in logs[1].read_text(), "of names that both have given nothing is told"
    assert logs[0].read_text().count("are left to other workers") == 1


def test_renamed_and_moved_functions_run_waiting_tasks(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    log = tmp_path / "worker.log"
    with jm.Journal(url) as journal:
        broker, results = jm.Broker(journal), jm.ResultStore(journal)
        letter, text = (package.send.generate(["ada"], submit=False) for package in (mail, sms))
        reminder = jm.Message(task_name="remind", args=["ada"], mechanism="process", function="clashing.renamed:remind")
        broker.submit_all([letter, text, reminder])
        with worker(url, "clashing.renamed", log):
            assert results.get(letter, timeout=60_000) == "new mail to ada"
            assert results.get(reminder, timeout=60_000) == "nudged ada", "in a process of its own, too"
            assert jm.StatusTracker(journal).get(text).status is jm.TaskStatus.SUBMITTED


@pytest.mark.parametrize(
    ("accepts", "function", "named", "taken"),
    [
        (Accepts(("a.b:send",)), "a.b:send", False, True),
        (Accepts(("a.b:send",)), "c.b:send", False, False),
        (Accepts(("a.b:send",)), "b:send", False, True),
        (Accepts(("b:send",)), "a.b:send", False, True),
        (Accepts(("a.b:send",)), "ab:send", False, False),
        (Accepts(("a.b:send",)), "a.b:Mail.send", False, False),
        (Accepts(("a.b:send",)), "", False, True),
        (Accepts(()), "c.b:send", False, True),
        (Accepts(("a.b:send",), named=True), "c.b:send", True, True),
        (Accepts(("a.b:send",), named=True), "c.b:send", False, False),
        (Accepts(("a.b:send",)), "c.b:send", True, False),
        (Accepts(("a.b:send", "c.b:send")), "c.b:send", False, True),
    ],
)
def test_function_matches_by_identity_or_by_explicit_name(
    accepts: Accepts, function: str, named: bool, taken: bool
) -> None:
    assert accepts.takes(function, named=named) is taken


def test_same_function_is_symmetric() -> None:
    for one, other in [("a.b:f", "b:f"), ("a:f", "b:f"), ("a.b:f", "a.b:f"), ("a.b:f", "b:g"), (":f", "a:f")]:
        assert is_same(one, other) is is_same(other, one)


def test_aliases_are_local_names_or_functions_elsewhere() -> None:
    broker = jm.Broker("memory://")

    class Mail:
        @jm.task(broker, aliases=["post", "old.mail:send", "old.mail:Box.deliver"])
        def deliver(self) -> None: ...

    place = f"{__name__}:{Mail.__qualname__}"
    assert Mail.deliver.accepts == {
        "deliver": Accepts((f"{place}.deliver", "old.mail:Box.deliver")),
        "post": Accepts((f"{place}.post",), named=True),
        "send": Accepts(("old.mail:send",)),
    }
    with pytest.raises(jm.ValidationError, match="aliases are old names in a list"):
        jm.task(broker, aliases="send")(print)
    with pytest.raises(jm.ValidationError, match="an alias is a name"):
        jm.task(broker, aliases=[""])(print)


def test_alias_that_another_task_has_as_its_name_is_refused() -> None:
    broker = jm.Broker("memory://")
    other = jm.task(broker, name="other", aliases=["send"])(print)
    with pytest.raises(jm.TaskNameCollisionError, match="'send' is an alias of the task 'other'"):
        by_every_name({"send": mail.send, "other": other})
    with pytest.raises(jm.TaskNameCollisionError, match="'send' is an alias"):
        jm.Worker([mail.send, other], "memory://")


def test_narrowed_queue_takes_the_aliases_of_its_tasks() -> None:
    task = jm.task(jm.Broker("memory://"), name="deliver", aliases=["send"])(print)
    known = KnownTasks({"deliver": task}, Selection(("mail",), {"mail": ("deliver", "other")}))
    assert known.selection.tasks == {"mail": ("deliver", "send", "other")}


_SCRIPT = """
import journeyman as jm
@jm.task(jm.Broker("memory://"))
def send(): ...
print(send.function_name)
"""


def test_script_names_its_functions_as_its_importers_do(tmp_path: Path) -> None:
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").touch()
    for script in (package / "tasks.py", tmp_path / "alone.py"):
        script.write_text(_SCRIPT)

    def said(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout.strip()

    assert said("shop/tasks.py") == said("-m", "shop.tasks") == "shop.tasks:send"
    assert said("alone.py") == "alone:send"
    assert said("-c", _SCRIPT) == "__main__:send"
    assert function_name(object()) == ""


def test_kinds_of_two_functions_survive_snapshots_and_requeues() -> None:
    with jm.Journal("memory://") as journal:
        broker = jm.Broker(journal)
        for package in (mail, sms):
            for task in (package.send, package.given):
                broker.submit(task.generate(["ada"], submit=False))
        view, again = view_of(journal), TaskView()
        again.restore(view.snapshot())
        for state in (view, again):
            assert [(task.kind.function, task.kind.named) for task in state.live.values()] == [
                ("clashing.mail:send", False),
                ("clashing.mail:given", True),
                ("clashing.sms:send", False),
                ("clashing.sms:given", True),
            ]
        event = journal.read().events[1]
        assert task_index(journal.asynchronous)
        row = b'{"name":"task.submitted","timestamp":1.0,"context":%b}' % bytes(event.context_json)
        carried = dead_letter_context(row, 1)["submission"]
        assert (carried["function"], carried["named"]) == ("clashing.mail:given", True)


def test_worker_announces_its_functions_within_the_limit() -> None:
    accepts = {name: task.accepts[name] for name, task in by_every_name({"send": mail.send}).items()}
    fact, context = joining("w", 1_000, accepts, EVERYTHING, 1)
    assert b'"accepts":{"send":{"functions":["clashing.mail:send"]}}' in context
    view = TaskView()
    view.apply_fact("worker.joined", fact, 0, 0, 1.0)
    session = view.session(0, "w")
    assert session is not None
    assert session.may_claim(TaskKind("send", "default", 0, 3, 0, "clashing.mail:send"))
    assert not session.may_claim(TaskKind("send", "default", 0, 3, 0, "clashing.sms:send"))
    many = {f"task{number}": Accepts(("x" * 1_000,)) for number in range(100)}
    fact, _ = joining("w", 1_000, many, EVERYTHING, 1)
    assert fact.tasks is not None
    assert 0 < len(fact.tasks) <= WORKER_TASKS_CHARS_MAX // 1_000
    assert fact.more_tasks == 100 - len(fact.tasks)
    assert set(fact.accepts) == set(fact.tasks)


def test_overview_and_why_name_the_functions() -> None:
    with jm.Journal("memory://") as journal:
        message = sms.send.generate(["ada"], submit=False)
        jm.Broker(journal).submit(message)
        accepts = {"send": mail.send.accepts["send"]}
        view = view_of(journal)
        for number, worker_id in enumerate("vw"):
            fact, _ = joining(worker_id, 1_000, accepts, EVERYTHING, 1)
            view.apply_fact("worker.joined", fact, 0, 1 + number, 1.0)
        (orphans,) = overview(view, 2.0).orphans
        assert (orphans.function, orphans.others) == ("clashing.sms:send", ("clashing.mail:send",))
        (finding,) = explain(view, message.uuid, message.created_at / 1_000 + 1)
        assert finding.code == "other_function"
        assert finding.facts == {"function": "clashing.sms:send", "others": ["clashing.mail:send"]}
        assert "each of the 2 live workers that knows a task send has clashing.mail:send" in finding.sentence
