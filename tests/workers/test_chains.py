"""Chains in real workers: each link runs after the one before, with its result, on every log and in every mechanism."""

import itertools
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import journeyman as jm
import pytest
from journeyman.journal.limits import BATCH_BYTES_MAX, EVENT_BYTES_MAX
from journeyman.tasks import TaskView, Verdict
from journeyman.tasks.state import names
from journeyman.workers.executors.pipeline import Job, Outcome, SessionLease
from journeyman.workers.loop.drafts import outcome_entries, within_limits
from support.journals import OnHttp, OnKafka, OnMemoryPartitions, OnSqlite
from support.states import claimed_task
from task_modules import chain_tasks


@contextmanager
def working(journal: jm.Journal, *tasks: jm.Task[Any, Any], **settings: Any) -> Iterator[None]:
    """A worker in a thread of this process."""
    for task in tasks:
        task.broker.bind(journal)
    worker = jm.Worker(tasks, journal, jm.Settings(**settings))
    running = threading.Thread(target=worker.run)
    running.start()
    try:
        yield
    finally:
        worker.stop()
        running.join(90)
        assert not running.is_alive()


def chain(*tasks: jm.Task[Any, Any], numbers: tuple[int, ...]) -> jm.Message:
    """Submit a chain of these tasks, each with its number."""
    first, *links = zip(tasks, numbers, strict=True)
    callback = tuple(task.generate([number], submit=False) for task, number in links)
    return first[0].generate([first[1]], callback=callback)


def ids(message: jm.Message) -> list[str]:
    return [message.uuid, *(message.descendant_uuids or ())]


def accepted(journal: jm.Journal) -> list[jm.Event]:
    """The events that the fold has accepted: a worker that got no time for a whole lease appends others, too."""
    view = TaskView()
    return [event for event in journal.read(limit=10_000).events if view.apply(event) is Verdict.ACCEPTED]


class Chains:
    """What holds on every log."""

    def test_links_run_in_order_with_the_result_before(self, tmp_path: Path) -> None:
        add = chain_tasks.add_thread
        with jm.Journal(self.url(tmp_path)) as journal, working(journal, add, threads=2):  # type: ignore[attr-defined]
            messages = [chain(add, add, add, add, numbers=(start, 10, 100, 1_000)) for start in range(5)]
            results = jm.ResultStore(journal)
            for start, message in enumerate(messages):
                found = [results.get(task_id, timeout=120_000, keep=True) for task_id in ids(message)]
                assert found == [start, start + 10, start + 110, start + 1_110]
            events = [event for event in accepted(journal) if event.name.startswith("task.")]
        for message in messages:
            own = [event for event in events if event.context["task"] in ids(message)]
            assert {event.key for event in own} == {message.uuid}
            assert len({event.partition for event in own}) == 1
            own.sort(key=lambda event: event.offset)
            pairs = [(one, other) for one, other in itertools.pairwise(own) if one.name == names.SUCCEEDED]
            assert [(other.name, other.offset - one.offset) for one, other in pairs] == [(names.SUBMITTED, 1)] * 3
            last = [event for event in own if event.name == names.SUCCEEDED][-1]
            assert "next" not in last.context
            links = [event.context for event in own if event.name == names.SUBMITTED][1:]
            assert [link["previous_message_uuid"] for link in links] == ids(message)[:-1]
            assert {link["progenitor_uuid"] for link in links} == {message.uuid}


class TestOnSqlite(OnSqlite, Chains):
    pass


class TestOnHttp(OnHttp, Chains):
    pass


class TestOnMemoryPartitions(OnMemoryPartitions, Chains):
    pass


class TestOnKafka(OnKafka, Chains):
    pass


@pytest.mark.parametrize(
    ("kinds", "settings"),
    [
        (("process", "process"), {"processes": 1}),
        (("thread", "thread"), {"threads": 2, "thread_processes": 1}),
        (("async", "async"), {}),
        (("thread", "process", "async", "thread"), {"processes": 1}),
    ],
)
def test_chain_runs_in_each_mechanism(tmp_path: Path, kinds: tuple[str, ...], settings: dict[str, Any]) -> None:
    tasks = [vars(chain_tasks)[f"add_{kind}"] for kind in kinds]
    with jm.Journal(f"sqlite:///{tmp_path}/chain.db") as journal, working(journal, *set(tasks), **settings):
        message = chain(*tasks, numbers=tuple(range(1, len(tasks) + 1)))
        last = ids(message)[-1]
        assert jm.ResultStore(journal).get(last, timeout=60_000) == sum(range(1, len(tasks) + 1))


def test_chain_survives_workers_killed_between_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YARD", str(tmp_path))
    url = f"sqlite:///{tmp_path}/chain.db"
    command = [sys.executable, "-m", "journeyman", "worker", "task_modules.chain_tasks", "--journal", url]
    add, dies = chain_tasks.add_thread, chain_tasks.dies_once_thread
    with jm.Journal(url) as journal:
        add.broker.bind(journal)
        message = chain(add, dies, add, dies, numbers=(1, 10, 100, 1_000))
        results = jm.ResultStore(journal)
        for killed in (True, True, False):
            with subprocess.Popen(
                [*command, "--threads", "2", "--lease-ms", "1500"],
                cwd=Path(chain_tasks.__file__).parents[1],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            ) as worker:
                try:
                    if killed:
                        assert worker.wait(120) == -signal.SIGKILL
                    else:
                        found = [results.get(link, timeout=120_000, keep=True) for link in ids(message)]
                        assert found == [1, 11, 111, 1_111]
                        worker.terminate()
                        assert worker.wait(120) == 0
                finally:
                    worker.kill()
        events = accepted(journal)
    for name in (names.SUBMITTED, names.SUCCEEDED):
        assert [event.context["task"] for event in events if event.name == name] == ids(message)


def test_links_behind_a_failure_never_run(tmp_path: Path) -> None:
    add, fails = chain_tasks.add_thread, chain_tasks.fails_thread
    with jm.Journal(f"sqlite:///{tmp_path}/chain.db") as journal, working(journal, add, fails):
        message = add.generate([1], callback=(fails.generate(submit=False), add.generate([2], submit=False)))
        _, failed, never = ids(message)
        tracker = jm.StatusTracker(journal)
        tracker.wait_for(failed, jm.TaskStatus.FAILED, timeout=60)
        assert not tracker.exists(never)
        assert jm.Broker(journal).requeue(failed)
        tracker.wait_for(failed, jm.TaskStatus.FAILED, timeout=60)
        assert not tracker.exists(never)


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_do_callback_stops_a_chain(tmp_path: Path, kind: str) -> None:
    stops: jm.Task[Any, Any] = vars(chain_tasks)[f"stops_{kind}"]
    with jm.Journal(f"sqlite:///{tmp_path}/chain.db") as journal, working(journal, stops, processes=1):
        goes_on, ends, breaks = (chain(stops, stops, numbers=(number, 1)) for number in (2, 3, 101))
        results, tracker = jm.ResultStore(journal), jm.StatusTracker(journal)
        assert results.get(ids(goes_on)[1], timeout=60_000) == 3
        assert results.get(ends, timeout=60_000) == 3
        with pytest.raises(jm.TaskFailedError, match="do_callback is broken"):
            results.get(breaks, timeout=60_000)
        assert not tracker.exists(ids(ends)[1])
        assert not tracker.exists(ids(breaks)[1])


def test_result_that_does_not_fit_its_link_fails_the_task(tmp_path: Path) -> None:
    large, add = chain_tasks.large_thread, chain_tasks.add_thread
    with jm.Journal(f"sqlite:///{tmp_path}/chain.db") as journal, working(journal, large, add):
        message = large.generate(
            [EVENT_BYTES_MAX * 3 // 4], callback=add.generate(["x" * (EVENT_BYTES_MAX // 3)], submit=False)
        )
        with pytest.raises(jm.TaskFailedError, match="submission of the next link"):
            jm.ResultStore(journal).get(message, timeout=60_000)


def test_no_append_divides_an_outcome_from_its_link() -> None:
    link = b'{"task_name":"work","task":"root@1","previous_result":"%b"}' % (b"x" * (BATCH_BYTES_MAX // 9))
    entries = []
    for number in range(20):
        job = Job(claimed_task(f"root-{number}", 1, 2), SessionLease("worker", 0), 2, b"", 0)
        outcome = Outcome(
            job, names.SUCCEEDED, b',"result":"%b"' % (b"x" * (BATCH_BYTES_MAX // (7 + number))), link=link
        )
        entries += outcome_entries(outcome, len)
    parts = list(within_limits(entries))
    assert len(parts) > 3
    assert [entry for part in parts for entry in part] == entries
    for part in parts:
        assert [entry.bound for entry in part] == [False, True] * (len(part) // 2)
