"""`journeyman worker --health`, its exit statuses and what it tells systemd, as a process."""

import json
import os
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import apsw
import journeyman as jm
import pytest
from journeyman.tasks.metrics.table import METRICS, PROCESS_METRICS, Exporter
from prometheus_client import Metric as Family
from prometheus_client.parser import text_string_to_metric_families
from support.waiting import insist, wait_until

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]
AT_ONCE = jm.ConstantBackoff(1, floor=0).settings


def _ask(address: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(address, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def _scrape(address: str) -> list[Family]:
    with urllib.request.urlopen(f"{address}metrics", timeout=20) as answer:
        return list(text_string_to_metric_families(answer.read().decode()))


def _values(families: list[Family]) -> dict[tuple[str, ...], float]:
    return {(s.name.removeprefix("journeyman_"), *s.labels.values()): s.value for f in families for s in f.samples}


def _address(worker: "subprocess.Popen[str]") -> str:
    assert worker.stderr is not None
    found = re.search(r"http://\S+", worker.stderr.readline())
    assert found is not None
    return found.group()


@contextmanager
def _holding_the_file(path: Path) -> Iterator[None]:
    """No writer can append meanwhile: a program that does not use the write lock has locked the file."""
    with closing(apsw.Connection(str(path))) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        yield
        foreign.execute("ROLLBACK")


def _take_away(url: str, *, anew: bool) -> None:
    """As `rm shop.db*` does; perhaps another program makes a new journal then."""
    path = Path(url.removeprefix("sqlite:///"))
    for each in path.parent.glob(f"{path.name}*"):
        if each.is_file():
            each.unlink()
    if anew:
        with jm.Journal(url) as journal:
            jm.Broker(journal).submit(jm.Message(task_name="add", args=[1, 2]))


@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.parametrize("busy", [False, True])
def test_worker_ends_with_an_error_if_its_file_is_replaced(
    start: Start, url: str, shop: Path, busy: bool, anew: bool
) -> None:
    pipe, health = shop / "pipe", shop / "health.json"
    os.mkfifo(pipe)
    worker = start("worker", "shop.tasks", "--journal", url, "--health", str(health))
    with jm.Journal(url) as journal:
        wait_until(lambda: health.exists() and json.loads(health.read_text())["healthy"], "the worker is well")
        if busy:
            jm.Broker(journal).submit(jm.Message(task_name="read", args=[str(pipe)]))
            with pipe.open("w"):  # returns when the task has opened its end: it runs
                _take_away(url, anew=anew)
                _, said = worker.communicate(timeout=60)
        else:
            _take_away(url, anew=anew)
            _, said = worker.communicate(timeout=60)
    assert worker.returncode == 1
    assert "was removed or replaced while it was open" in said.splitlines()[-1]
    assert said.count("removed or replaced") == 1
    assert "Traceback" not in said
    assert not health.exists()
    if anew:
        again = start("worker", "shop.tasks", "--journal", url)
        with jm.Journal(url) as journal:
            wait_until(
                lambda: "task.succeeded" in [event.name for event in journal.read().events],
                "a worker that is started again works on the new journal",
            )
        again.terminate()
        assert again.wait(timeout=60) == 0


def test_http_health_is_good_with_and_without_work(start: Start, url: str, shop: Path) -> None:
    pipe = shop / "pipe"
    os.mkfifo(pipe)
    worker = start("worker", "shop.tasks", "--journal", url, "--health", "127.0.0.1:0", "--lease-ms", "1000")
    address = _address(worker)
    wait_until(lambda: _ask(address)[0] == 200, "the idle worker is well")
    with jm.Journal(url) as journal:
        jm.Broker(journal).submit(jm.Message(task_name="read", args=[str(pipe)]))
        with pipe.open("w"):
            wait_until(lambda: _ask(address)[1]["claims"] == 1, "the claim is reported")
            status, facts = _ask(address)
            assert (status, facts["healthy"], facts["reasons"]) == (200, True, [])
            assert facts["pid"] == worker.pid
            wait_until(lambda: _ask(address)[1]["acknowledged_seconds_ago"] < 1.0, "a beat to be acknowledged")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=60) == 0


def test_worker_that_cannot_renew_its_lease_is_unhealthy(start: Start, url: str, shop: Path) -> None:
    pipe = shop / "pipe"
    os.mkfifo(pipe)
    worker = start("worker", "shop.tasks", "--journal", url, "--health", "127.0.0.1:0", "--lease-ms", "500")
    address = _address(worker)
    with jm.Journal(url) as journal:
        jm.Broker(journal).submit(jm.Message(task_name="read", args=[str(pipe)]))
        with pipe.open("w"):
            wait_until(lambda: _ask(address)[1].get("claims") == 1, "the claim is reported")
            with _holding_the_file(shop / "shop.db"):
                wait_until(lambda: _ask(address)[0] == 503, "the worker says that it is not well")
                assert "older than its lease of 0.5 s" in " ".join(_ask(address)[1]["reasons"])
            wait_until(lambda: _ask(address)[0] == 200, "the worker has recovered")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=60) == 0


def test_worker_exports_its_part_of_the_metrics_table(start: Start, url: str) -> None:
    worker = start("worker", "shop.tasks", "--journal", url, "--health", "127.0.0.1:0")
    address = _address(worker)
    with jm.Journal(url) as journal:
        broker, tracker = jm.Broker(journal), jm.StatusTracker(journal)
        for message in (
            jm.Message("add", args=[1, 2]),
            jm.Message("paint", args=["red"], max_retries=1, backoff_settings=AT_ONCE),
        ):
            broker.submit(message)
            tracker.wait_for(message, jm.TERMINAL_TASK_STATUSES, timeout=60)
    wait_until(lambda: _ask(address)[0] == 200, "the worker is well")
    # The journal tells of an outcome before its worker has counted it.
    wait_until(lambda: _values(_scrape(address)).get(("outcomes_total", "failed")) == 1, "its last outcome to count")
    families = _scrape(address)
    expected = {metric.name for metric in METRICS if metric.exporter in (Exporter.WORKER, Exporter.BOTH)}
    exported = {f"{each.name}_total" if each.type == "counter" else each.name for each in families}
    assert exported == expected | set(PROCESS_METRICS)
    values = _values(families)
    assert values["claims_total",] == 3
    assert values["outcomes_total", "succeeded"] == values["outcomes_total", "failed"] == 1
    assert values["retries_total",] == values["worker_healthy",] == 1
    assert values["worker_claims",] == values["tail_lag_events",] == values["refused_total", "outcome"] == 0
    assert values["appended_events_total",] >= 7  # it has joined; three claims and three outcomes
    assert values["commit_seconds_count",] <= values["appends_total",] <= values["appended_events_total",]
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=60) == 0


def test_scheduler_reports_its_health_and_metrics(start: Start, url: str) -> None:
    scheduler = start("scheduler", "--journal", url, "--health", "127.0.0.1:0")
    address = _address(scheduler)
    wait_until(lambda: _ask(address)[0] == 200, "the scheduler is well")
    values = {sample.name: sample.value for family in _scrape(address) for sample in family.samples}
    assert values["journeyman_worker_healthy"] == 1
    assert values["journeyman_tail_lag_events"] == 0
    assert "journeyman_claims_total" not in values, "it runs no tasks"
    scheduler.send_signal(signal.SIGTERM)
    assert scheduler.wait(timeout=60) == 0


def test_worker_without_the_library_says_how_to_get_it(start: Start, url: str, shop: Path) -> None:
    (shop / "absent").mkdir()
    (shop / "absent" / "prometheus_client.py").write_text("raise ImportError('not installed')")
    worker = start("worker", "shop.tasks", "--journal", url, "--health", "127.0.0.1:0", PYTHONPATH=str(shop / "absent"))
    address = _address(worker)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{address}metrics", timeout=20)
    with refused.value as answer:
        assert (answer.code, b"pip install 'journeyman[metrics]'" in answer.read()) == (501, True)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=60) == 0


def test_health_file_exists_while_the_worker_runs(start: Start, url: str, shop: Path) -> None:
    worker = start("worker", "shop.tasks", "--journal", url, "--health", "health.json")
    path = shop / "health.json"
    wait_until(lambda: path.exists() and json.loads(path.read_bytes())["healthy"], "the file says that it is well")
    written = path.stat().st_mtime_ns
    wait_until(lambda: path.stat().st_mtime_ns > written, "the file is written again")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=60) == 0
    assert not path.exists()


def test_systemd_is_notified_of_readiness_and_stop(start: Start, url: str, shop: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(shop / "notify"))
        manager.settimeout(30)
        worker = start("worker", "shop.tasks", "--journal", url, NOTIFY_SOCKET=str(shop / "notify"))
        assert manager.recv(100) == b"READY=1"
        worker.send_signal(signal.SIGTERM)
        assert manager.recv(100) == b"STOPPING=1"
        assert worker.wait(timeout=60) == 0


def test_second_signal_ends_the_worker_at_once_with_130(start: Start, url: str, shop: Path) -> None:
    pipe = shop / "pipe"
    os.mkfifo(pipe)
    worker = start("worker", "shop.tasks", "--journal", url)
    with jm.Journal(url) as journal:
        task = jm.Message(task_name="read", args=[str(pipe)])
        jm.Broker(journal).submit(task)
        with pipe.open("w"):
            worker.send_signal(signal.SIGTERM)
            assert worker.stderr is not None
            assert "draining" in worker.stderr.readline()
            insist(worker, signal.SIGTERM)
            assert worker.wait(timeout=60) == 130
        status = jm.StatusTracker(journal).get(task).status
        assert status is jm.TaskStatus.RUNNING  # until its session expires; nothing is lost


def test_unavailable_address_is_status_1_and_a_bad_one_2(forked: Run, url: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused = forked("worker", "shop.tasks", "--journal", url, "--health", f"127.0.0.1:{taken.getsockname()[1]}")
    assert refused.returncode == 1
    assert "--health cannot listen on 127.0.0.1" in refused.stderr
    assert "Traceback" not in refused.stderr
    senseless = forked("worker", "shop.tasks", "--journal", url, "--health", ":70000")
    assert senseless.returncode == 2
    assert "--health" in senseless.stderr


def test_exit_statuses_are_documented(forked: Run) -> None:
    shown = forked("worker", "--help").stdout
    for status in ("0: it has drained", "1: the journal", "2: A package or an option", "130: a second signal"):
        assert status in shown
