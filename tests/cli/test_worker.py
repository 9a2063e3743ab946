"""`journeyman worker`, as a process."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import journeyman as jm
import pytest

Start = Callable[..., "subprocess.Popen[str]"]


def _line_with(stream: object, words: str) -> str:
    """The first line that contains `words`; the end of the stream before it is a failure."""
    seen = []
    for line in stream:  # type: ignore[attr-defined]
        seen.append(line)
        if words in line:
            return str(line)
    raise AssertionError(f"the stream ended before a line with {words!r}; it said: {''.join(seen)!r}")


def _submit(journal: jm.Journal, name: str, *args: object) -> jm.Message:
    message = jm.Message(task_name=name, args=list(args))
    jm.Broker(journal).submit(message)
    return message


def test_worker_reports_ready_runs_tasks_and_ends_on_sigterm(start: Start, url: str) -> None:
    worker = start("worker", "shop.tasks", "--journal", url, "--queues", "default,other", "--threads", "3")
    ready = _line_with(worker.stdout, "is ready")
    assert "tasks add, paint, read" in ready
    assert "queues default, other" in ready
    assert "3 threads" in ready
    assert url in ready
    with jm.Journal(url) as journal:
        message = _submit(journal, "add", 2, 3)
        assert jm.ResultStore(journal).get(message, timeout=60_000, keep=True) == 5
        worker.send_signal(signal.SIGTERM)
        out, err = worker.communicate(timeout=60)
        assert worker.returncode == 0
        assert "1 succeeded" in out
        assert "Traceback" not in err
        names = [event.name for event in journal.read().events]
        assert names[-1] == "worker.left"


def test_worker_continues_after_a_task_opened_its_file(start: Start, url: str, shop: Path) -> None:
    """As a nightly backup does: by Python's own sqlite3, which is refused, and by a copy, which drops POSIX locks."""
    path = url.removeprefix("sqlite:///")
    (shop / "shop" / "tasks.py").write_text(
        textwrap.dedent(f"""
            import shutil
            import sqlite3
            import journeyman as jm

            broker = jm.Broker()

            @jm.task(broker)
            def back_up():
                try:
                    sqlite3.connect({path!r})
                except jm.UnsafeAccess as error:
                    shutil.copyfile({path!r}, {path!r} + ".copy")
                    return str(error)
        """)
    )
    worker = start("worker", "shop.tasks", "--journal", url)
    _line_with(worker.stdout, "is ready")
    program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM events'); c.close()"
    with jm.Journal(url) as journal:
        messages = []
        for _ in range(3):
            messages.append(_submit(journal, "back_up"))
            said = jm.ResultStore(journal).get(messages[-1], timeout=60_000, keep=True)
            assert "journeyman backup" in said
            subprocess.run([sys.executable, "-c", program, path], check=True)
        worker.kill()
        _, err = worker.communicate()
    assert err.count("Make copies with") == 1
    with jm.Journal(url) as journal:
        for message in messages:
            assert jm.ResultStore(journal).get(message, timeout=60_000, keep=True)


def test_sigterm_lets_the_running_task_end_first(start: Start, url: str, shop: Path) -> None:
    pipe = shop / "pipe"
    os.mkfifo(pipe)
    worker = start("worker", "shop.tasks", "--journal", url)
    _line_with(worker.stdout, "is ready")
    with jm.Journal(url) as journal:
        message = _submit(journal, "read", str(pipe))
        with pipe.open("w") as writing:  # returns when the task has opened its end: it runs
            worker.send_signal(signal.SIGTERM)
            _line_with(worker.stderr, "draining: 1 running")
            writing.write("written after SIGTERM")
        assert worker.wait(timeout=60) == 0
        assert jm.ResultStore(journal).get(message, keep=True) == "written after SIGTERM"


def test_unfinished_task_is_given_back_without_using_an_attempt(start: Start, url: str, shop: Path) -> None:
    pipe = shop / "pipe"
    os.mkfifo(pipe)
    worker = start("worker", "shop.tasks", "--journal", url, "--drain-timeout", "0.1", "--lease-ms", "60000")
    _line_with(worker.stdout, "is ready")
    with jm.Journal(url) as journal:
        message = _submit(journal, "read", str(pipe))
        with pipe.open("w"):
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(timeout=120) == 0
        update = jm.StatusTracker(journal).get(message)
        assert update.status is jm.TaskStatus.SUBMITTED
        assert update.details is not None
        assert update.details["attempts"] == 0


def test_ctrl_c_drains_the_worker(start: Start, url: str) -> None:
    worker = start("worker", "shop.tasks", "--journal", url)
    _line_with(worker.stdout, "is ready")
    worker.send_signal(signal.SIGINT)
    _, err = worker.communicate(timeout=60)
    assert worker.returncode == 0
    assert "Traceback" not in err


@pytest.mark.parametrize("reader", ["true", "head -c 5", "", ">&-", "> /dev/full"])
def test_closed_output_does_not_stop_a_worker(shop: Path, url: str, reader: str) -> None:
    """A pipe that is closed at once, later, after it has begun to end; no stdout at all; one that takes nothing."""
    command = f"{sys.executable} -m journeyman worker shop.tasks --journal {url}"
    reading, writing = os.pipe()
    shell = f"{command} {reader}" if ">" in reader else command
    with subprocess.Popen(
        f"exec {shell}", shell=True, cwd=shop, stdout=writing, stderr=subprocess.PIPE, text=True
    ) as worker:
        try:
            os.close(writing)
            if reader == "head -c 5":
                assert os.read(reading, 5) == b"worke"
            if ">" not in reader and reader:
                os.close(reading)
            with jm.Journal(url) as journal:
                message = _submit(journal, "add", 2, 3)
                assert jm.ResultStore(journal).get(message, timeout=60_000, keep=True) == 5
            if not reader:
                os.close(reading)
            worker.send_signal(signal.SIGTERM)
            _, said = worker.communicate(timeout=60)
        finally:
            worker.kill()
    assert worker.returncode == 0, said
    assert "Traceback" not in said
    assert "BrokenPipe" not in said


def test_worker_takes_the_journal_from_the_environment(start: Start, url: str) -> None:
    worker = start("worker", "shop.tasks", JOURNEYMAN_JOURNAL=url)
    assert url in _line_with(worker.stdout, "is ready")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=60) == 0


def test_worker_claims_only_its_subset_in_thread_groups(start: Start, url: str) -> None:
    options = ["--subset", "default=add", "--subset", "other", "--threads", "2", "--thread-processes", "2"]
    more = [
        "--queue-order",
        "fair",
        "--queue-weights",
        "other=2",
        "--priority-ageing-ms",
        "60000",
        "--mechanism",
        "thread",
    ]
    worker = start("worker", "shop.tasks", "--journal", url, *options, *more)
    assert "queues default (add only), other, 2 threads in each of up to 2 processes" in _line_with(
        worker.stdout, "is ready"
    )
    with jm.Journal(url) as journal:
        left_alone = _submit(journal, "paint", "blue")
        message = _submit(journal, "add", 2, 3)
        assert jm.ResultStore(journal).get(message, timeout=60_000, keep=True) == 5
        said = next(event.context for event in journal.read().events if event.name == "worker.joined")
        assert said["queues"] == ["default", "other"]
        assert said["selection"] == {
            "tasks": {"default": ["add"]},
            "order": "fair",
            "weights": {"other": 2},
            "ageing_ms": 60_000,
        }
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=60) == 0
        update = jm.StatusTracker(journal).get(left_alone)
        assert update.details is not None
        assert (update.status, update.details["attempts"]) == (jm.TaskStatus.SUBMITTED, 0)


OURS = ["--journal", "sqlite:///shop.db"]
_CHAIN = """
    import os
    import journeyman as jm

    broker = jm.Broker({broker})


    @jm.task(broker)
    def last():
        return "done"


    @jm.task(broker, mechanism="{mechanism}")
    def first():
        os.chdir("elsewhere")
        return last.generate().uuid
"""


@pytest.mark.parametrize(
    ("broker", "mechanism", "options"),
    [
        ("", "thread", OURS),
        ("", "thread", [*OURS, "--thread-processes", "1"]),
        ("", "process", OURS),
        ("'sqlite:///own.db'", "thread", OURS),
        ("'sqlite:///own.db'", "process", OURS),
        ("'sqlite:///shop.db'", "process", []),
    ],
)
def test_task_submissions_go_to_the_worker_journal(
    start: Start, shop: Path, broker: str, mechanism: str, options: list[str]
) -> None:
    """No worker would run it elsewhere: in the environment's, in one that the code names, or in another directory."""
    (shop / "chain.py").write_text(textwrap.dedent(_CHAIN.format(broker=broker, mechanism=mechanism)))
    (shop / "elsewhere").mkdir()
    worker = start("worker", "chain", *options, JOURNEYMAN_JOURNAL="sqlite:///environment.db")
    _line_with(worker.stdout, "is ready")
    with jm.Journal(f"sqlite:///{shop / 'shop.db'}") as journal:
        last = jm.ResultStore(journal).get(_submit(journal, "first"), timeout=60_000)
        assert jm.ResultStore(journal).get(last, timeout=60_000) == "done"
    assert [path.name for path in shop.rglob("*.db")] == ["shop.db"]


_SEVERAL = """
    import journeyman as jm

    one, other, open_ = jm.Broker("sqlite:///one.db"), jm.Broker("sqlite:///other.db"), jm.Broker()


    @jm.task(one, mechanism="process")
    def named():
        return one.journal.url, other.journal.url, open_.journal.url


    @jm.task(open_, mechanism="process")
    def unnamed():
        return one.journal.url, other.journal.url, open_.journal.url


    @jm.task(other)
    def elsewhere():
        pass
"""


def test_children_submit_to_the_journal_of_their_worker(start: Start, shop: Path) -> None:
    (shop / "several.py").write_text(textwrap.dedent(_SEVERAL))
    worker = start("worker", "several", *OURS, JOURNEYMAN_JOURNAL="sqlite:///environment.db")
    _line_with(worker.stdout, "is ready")
    with jm.Journal(f"sqlite:///{shop / 'shop.db'}") as journal:
        for task in ("named", "unnamed"):
            urls = jm.ResultStore(journal).get(_submit(journal, task), timeout=60_000)
            assert [Path(url).name for url in urls] == ["one.db", "other.db", "shop.db"]


def test_unusable_journal_of_one_broker_stops_no_other_worker(start: Start, shop: Path) -> None:
    (shop / "far.py").write_text(
        textwrap.dedent(_CHAIN.format(broker="'nosuch://ada:secret@far/shop'", mechanism="thread"))
    )
    worker = start("worker", "far", *OURS)
    assert "is ready" in _line_with(worker.stdout, "is ready")
