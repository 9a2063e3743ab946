"""The demonstration, as a process, on a part of the files: its verdict, and that nothing stays behind."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import journeyman as jm
import pytest

TIMEOUT_SECONDS = 120.0
FILES = "90"

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start the demonstration with temporary files of its own; it is killed at the end of the test if it still runs."""
    with ExitStack() as stack:

        def call(*arguments: str) -> "subprocess.Popen[str]":
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "journeyman", "demo", "--files", FILES, *arguments],
                    env=os.environ | {"TMPDIR": str(tmp_path)},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            stack.callback(process.kill)
            return process

        yield call


def _figure(name: str, text: str) -> int:
    found = re.search(rf"^  {re.escape(name)} +([\d,]+)", text, re.MULTILINE)
    assert found is not None, text
    return int(found[1].replace(",", ""))


def _assert_nothing_is_left(tmp_path: Path) -> None:
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in running, "a worker of this demonstration still runs"
    assert not list(tmp_path.glob("journeyman-demo-*"))


def test_results_all_agree_although_a_worker_was_killed(start: Start, tmp_path: Path) -> None:
    demo = start()
    out, err = demo.communicate(timeout=TIMEOUT_SECONDS)
    assert demo.returncode == 0, out + err
    assert f"All {FILES} results agree" in out
    assert "nothing was lost, nothing completed twice" in out
    assert "kill -9" in out
    assert "its tasks are back in the queue" in out
    assert out.count("worker.left") == 2, "the consumer hears both remaining workers leave"
    assert "sentinel" in out
    assert _figure("tasks", out) == int(FILES)
    assert _figure("takeovers", out) >= 1
    assert _figure("attempts", out) == int(FILES) + _figure("takeovers", out)
    assert err == ""
    assert "\x1b" not in out
    _assert_nothing_is_left(tmp_path)


def test_demo_works_on_a_journal_in_use(start: Start, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'used.db'}"
    with jm.Journal(url) as journal:
        jm.Broker(journal).submit_all(jm.Message(task_name="examine_source", args=["sixth.py"]) for _ in range(100))
        before = journal.bounds().end
    demo = start("--journal", url, "--workers", "1")
    out, err = demo.communicate(timeout=TIMEOUT_SECONDS)
    assert demo.returncode == 0, out + err
    assert _figure("tasks", out) == int(FILES)
    with jm.Journal(url) as journal:
        assert _figure("events", out) == journal.bounds().end[0] - before[0]
        waiting = jm.StatusTracker(journal).get(journal.read().events[0].key or "")
        assert waiting.status is jm.TaskStatus.SUBMITTED, "tasks that are not the demonstration's own are left alone"


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, "started as"),
        (signal.SIGINT, "tasks done"),
        (signal.SIGTERM, "kill -9"),
        (signal.SIGHUP, "Replay"),
    ],
)
def test_signal_at_any_moment_leaves_no_process_or_file(
    start: Start, tmp_path: Path, number: signal.Signals, moment: str
) -> None:
    demo = start()
    assert demo.stdout is not None
    for line in demo.stdout:
        if moment in line:
            break
    else:
        pytest.fail(f"the demonstration ended before it said {moment!r}")
    demo.send_signal(number)
    _, err = demo.communicate(timeout=TIMEOUT_SECONDS)
    assert demo.returncode == 128 + number
    assert "Traceback" not in err
    _assert_nothing_is_left(tmp_path)


@pytest.mark.kafka
def test_demo_works_on_kafka(start: Start, kafka_bootstrap: str) -> None:
    demo = start("--journal", f"kafka://{kafka_bootstrap}/demonstration?partitions=3")
    out, err = demo.communicate(timeout=TIMEOUT_SECONDS)
    assert demo.returncode == 0, out + err
    assert f"All {FILES} results agree" in out
    assert _figure("takeovers", out) >= 1
