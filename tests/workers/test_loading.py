"""Finding the tasks of a package, and the error if there are none."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from journeyman.tasks import Broker, NoTasksFoundError, Task, TaskNameCollisionError
from journeyman.workers.loading import tasks_by_name
from journeyman.workers.worker import journal_url

HEADER = "from journeyman.tasks import Broker, task\nbroker = Broker('memory://')\n"
Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write a module into the current directory; what was imported from there is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)

    def module(path: str, source: str) -> None:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)

    yield module
    for name in set(sys.modules) - before:
        del sys.modules[name]


def work(name: str) -> str:
    return f"@task(broker)\ndef {name}():\n    return 1\n"


def test_module_in_the_current_directory_is_loaded(write: Write) -> None:
    write("shop_one.py", HEADER + work("a") + work("b"))
    assert sorted(tasks_by_name("shop_one")) == ["a", "b"]


def test_package_is_loaded_with_all_its_submodules(write: Write) -> None:
    write("shop_two/__init__.py", HEADER + work("top"))
    write("shop_two/mail.py", HEADER + work("send"))
    write("shop_two/deep/__init__.py", "")
    write("shop_two/deep/er.py", HEADER + work("dig"))
    write("shop_two/__main__.py", "raise SystemExit('must not be run')")
    assert sorted(tasks_by_name("shop_two")) == ["dig", "send", "top"]
    assert sorted(tasks_by_name("shop_two.deep")) == ["dig"]


def test_task_imported_elsewhere_is_one_task(write: Write) -> None:
    write("shop_three/__init__.py", "")
    write("shop_three/a.py", HEADER + work("send"))
    write("shop_three/b.py", "from .a import send\nalias = send\n")
    assert sorted(tasks_by_name("shop_three")) == ["send"]


def test_home_of_a_task_is_its_definition_or_where_it_was_found(write: Write) -> None:
    write("shop_home/__init__.py", "from .mail import send\n")
    write(
        "shop_home/mail.py", HEADER + work("send") + "@task(broker, name='post')\n@(lambda f: print)\ndef post(): ...\n"
    )
    assert {name: task.home for name, task in tasks_by_name("shop_home").items()} == {
        "send": "shop_home.mail",
        "post": "shop_home.mail",
    }


def test_tasks_are_known_by_name_and_not_by_variable(write: Write) -> None:
    write("shop_four.py", HEADER + "@task(broker, name='mail.send')\ndef f():\n    return 1\n")
    assert list(tasks_by_name("shop_four")) == ["mail.send"]


def test_two_tasks_with_one_name_are_refused(write: Write) -> None:
    write("shop_five/__init__.py", "")
    write("shop_five/a.py", HEADER + work("send"))
    write("shop_five/b.py", HEADER + work("send"))
    with pytest.raises(TaskNameCollisionError, match=r"two tasks are called 'send', in shop_five\.a and shop_five\.b"):
        tasks_by_name("shop_five")


def test_package_without_tasks_is_refused(write: Write) -> None:
    write("shop_six.py", "x = 1\n")
    with pytest.raises(NoTasksFoundError, match="shop_six has no tasks"):
        tasks_by_name("shop_six")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_such_package", "there is no package or module 'no_such_package'"),
        ("no.such.package", "there is no package or module 'no.such.package'"),
        ("shop_seven.nothing", "there is no package or module 'shop_seven.nothing'"),
        ("shop_seveb", "did you mean shop_seven"),
        ("shop_seven/mail.py", r"did you mean shop_seven\.mail\?"),
        ("./shop_seven/mail.py", r"did you mean shop_seven\.mail\?"),
        ("", "expected the name of a package or module"),
        (".tasks", "expected the name of a package or module"),
    ],
)
def test_invalid_module_name_is_refused_with_a_sentence(write: Write, name: str, said: str) -> None:
    write("shop_seven/__init__.py", "")
    write("shop_seven/mail.py", HEADER + work("send"))
    with pytest.raises(NoTasksFoundError, match=said):
        tasks_by_name(name)


@pytest.mark.parametrize("where", ["shop_eight/__init__.py", "shop_eight/part.py"])
def test_missing_import_is_named(write: Write, where: str) -> None:
    write("shop_eight/__init__.py", "")
    write(where, "import no_such_dependency\n")
    with pytest.raises(NoTasksFoundError, match="cannot be imported: it needs no_such_dependency, which is missing"):
        tasks_by_name("shop_eight")


def test_worker_opens_the_journal_with_a_password_never_shown() -> None:
    url = "kafka://ada:secret@127.0.0.1:9092/shop?sasl=PLAIN"
    broker = Broker(url)
    tasks = {"work": Task(lambda: None, broker, "work")}
    assert journal_url(tasks, None) == url
    assert "secret" not in broker.journal.url
