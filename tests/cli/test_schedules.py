"""`journeyman schedule` and `journeyman scheduler`, beside real processes."""

import json
import signal
import subprocess
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import journeyman as jm
import pytest
from journeyman.journal import Position
from journeyman.tasks.state import names
from support.waiting import wait_until

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]


def generate(journal: jm.Journal, name: str, trigger: object, **options: object) -> jm.Message:
    task = jm.TriggerTask(lambda: None, trigger, jm.Broker(journal), name=name, **options)  # type: ignore[arg-type]
    return task.generate()


def ticks(journal: jm.Journal, name: str = names.SCHEDULE_FIRED) -> list[int]:
    return [event.context["tick"] for event in journal.read(limit=10_000).events if event.name == name]


def read(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_schedules_are_listed_with_their_next_ticks(call: Run, url: str) -> None:
    with jm.Journal(url) as journal:
        journal.append("order.paid")
        assert call("schedule", "list", "--journal", url).stdout == f"no schedule stands in {url}\n"
        generate(journal, "report", jm.CronTrigger(hour=3, timezone="UTC"))
        generate(journal, "sweep", jm.DateTrigger(datetime(2099, 1, 1, tzinfo=UTC)))
    listed = call("schedule", "list", "--journal", url).stdout
    assert "hour=3 (UTC)" in listed
    assert "once, at 2099-01-01T00:00:00Z" in listed
    found = read(call("schedule", "list", "--json", "--journal", url).stdout)
    assert [(each["schedule"], each["paused"], each["fired"]) for each in found] == [
        ("report", False, 0),
        ("sweep", False, 0),
    ]
    assert found[1]["next_tick"] == int(datetime(2099, 1, 1, tzinfo=UTC).timestamp() * 1_000)
    coming = read(call("schedule", "next", "3", "--json", "--journal", url).stdout)
    assert [each["schedule"] for each in coming] == ["report"] * 3
    assert all(str(each["at"]).endswith("T03:00:00Z") for each in coming)
    own = call("schedule", "next", "--schedule", "sweep", "--journal", url).stdout
    assert own.startswith("2099-01-01T00:00:00Z  ")
    assert call("schedule", "next", "--schedule", "nope", "--journal", url).returncode == 1


def test_status_and_why_report_late_and_paused_schedules(call: Run, url: str) -> None:
    begun = datetime.now(UTC) - timedelta(hours=1)
    with jm.Journal(url) as journal:
        policy = {"misfire": "run_all", "grace_ms": 1_000}
        minute = {"type": "interval", "every_ms": 60_000, "start_ms": int(begun.timestamp() * 1_000)}
        first = {"schedule": "sweep", "trigger": minute, "policy": policy, "first": minute["start_ms"]}
        journal.append(names.SCHEDULE_CREATED, {**first, "message": {"task_name": "sweep"}}, key="sweep")
        generate(journal, "report", jm.CronTrigger(hour=3, timezone="UTC"))
    assert call("schedule", "pause", "report", "--journal", url).returncode == 0
    shown = call("status", "--journal", url).stdout
    assert "ticks of the schedule sweep are over" in shown
    assert "`journeyman schedule resume report`" in shown
    (report, sweep) = json.loads(call("status", "--json", "--journal", url).stdout)["schedules"]
    assert (report["next_tick"], sweep["missed"]) == (None, 60)
    checked = call("status", "--check", "--min-workers", "0", "--journal", url)
    assert (checked.returncode, checked.stdout.count("sweep")) == (3, 1)
    assert "It is no task but a schedule" in call("why", "sweep", "--journal", url).stdout
    asked = call("why", "report@2099-01-01T03:00:00Z", "--journal", url)
    assert (asked.returncode, "It is paused since" in asked.stdout) == (0, True)


def test_schedule_is_paused_resumed_and_cleared(call: Run, url: str) -> None:
    with jm.Journal(url) as journal:
        generate(journal, "report", jm.CronTrigger(hour=3, timezone="UTC"))

        def events() -> list[str]:
            return [event.name for event in journal.read().events]

        assert call("schedule", "pause", "report", "--dry-run", "--journal", url).stdout == (
            "schedule report would be paused\n"
        )
        assert events() == [names.SCHEDULE_CREATED]
        paused = call("schedule", "pause", "report", "report", "--reason", "stocktaking", "--journal", url)
        assert (paused.returncode, paused.stdout) == (0, "schedule report paused\n")
        assert call("schedule", "pause", "report", "--journal", url).stdout == "schedule report was paused already\n"
        assert "paused" in call("schedule", "list", "--journal", url).stdout
        assert call("schedule", "next", "--journal", url).stdout == ""
        shown = call("schedule", "show", "report", "--journal", url).stdout
        assert "stocktaking" in shown
        assert "paused since" in shown
        resumed = read(call("schedule", "resume", "report", "--json", "--journal", url).stdout)[0]
        assert (resumed["changed"], resumed["done"]) == (True, "resumed")
        assert call("schedule", "clear", "report", "nope", "--journal", url).returncode == 1
        assert events()[-1] == names.SCHEDULE_CLEARED
        assert call("schedule", "show", "report", "--journal", url).returncode == 1
        unknown = call("schedule", "resume", "report", "--journal", url)
        assert (unknown.returncode, "report is not known to the journal " in unknown.stdout) == (1, True)


def test_worker_fires_what_is_due_and_show_tells_of_it(call: Run, start: Start, url: str) -> None:
    with jm.Journal(url) as journal:
        start("worker", "shop.tasks", "--journal", url)
        message = generate(journal, "tock", jm.DateTrigger(datetime.now(UTC)), overlap="skip")
        wait_until(lambda: ticks(journal), "the tick to be fired")
        shown = read(call("schedule", "show", "tock", "--json", "--journal", url).stdout)[0]
        assert (shown["last_task"], shown["fired"], shown["next_tick"]) == (message.uuid, 1, None)
        assert [event["name"] for event in shown["history"]] == [names.SCHEDULE_CREATED, names.SCHEDULE_FIRED]  # type: ignore[attr-defined]
        told = call("schedule", "show", "tock", "--journal", url).stdout
        assert f"submitted {message.uuid}" in told
        assert "does not tick any more" in told
        assert message.uuid in call("history", message.uuid, "--journal", url).stdout


def test_schedulers_fire_each_tick_once_though_one_is_killed(start: Start, url: str) -> None:
    with jm.Journal(url) as journal:
        first, second = (start("scheduler", "--journal", url) for _ in range(2))
        generate(journal, "tick", jm.IntervalTrigger(seconds=0.2), misfire="run_all")
        wait_until(lambda: len(ticks(journal)) >= 3, "some ticks to be fired")
        first.send_signal(signal.SIGKILL)
        first.wait()
        fired = len(ticks(journal))
        wait_until(lambda: len(ticks(journal)) >= fired + 3, "the other one to go on")
        second.send_signal(signal.SIGTERM)
        told, _ = second.communicate(timeout=60)
        assert second.returncode == 0, told
        assert "ticks fired" in told
        found = ticks(journal)
        assert found == list(range(found[0], found[-1] + 1, 200)), "none is missing, none is there twice"
        tasks = [event.context["task"] for event in journal.read(limit=10_000).events if event.name == names.SUBMITTED]
        assert len(tasks) == len(set(tasks)) == len(found)


@pytest.mark.kafka
@pytest.mark.timeout(300)  # a broker and two processes start
def test_two_processes_on_kafka_run_each_tick_once(start: Start, kafka_bootstrap: str) -> None:
    url = f"kafka://{kafka_bootstrap}/ticks-{uuid.uuid4().hex}?partitions=4"
    with jm.Journal(url) as journal:
        for _ in range(2):
            start("worker", "shop.tasks", "--journal", url)
        generate(journal, "tock", jm.IntervalTrigger(seconds=0.2), misfire="run_all")
        wait_until(lambda: len(ticks(journal)) >= 20, "20 ticks to be fired", timeout=120)
        events = journal.read(limit=10_000).events
    fired = [event for event in events if event.name == names.SCHEDULE_FIRED]
    submitted = {event.position: event.context["task"] for event in events if event.name == names.SUBMITTED}
    first = fired[0].context["tick"]
    assert [event.context["tick"] for event in fired] == [first + 200 * number for number in range(len(fired))]
    behind = [submitted[Position(event.partition, event.offset + 1)] for event in fired]
    assert behind == [event.context["task"] for event in fired], "each tick has one run, right behind it"
    assert len(submitted) == len(fired)


def test_scheduler_waits_for_its_first_schedule(start: Start, url: str) -> None:
    with jm.Journal(url) as journal:
        journal.append("order.paid")
        running = start("scheduler", "--journal", url)
        assert running.stdout is not None
        assert "scheduler is ready" in running.stdout.readline()
        generate(journal, "tick", jm.DateTrigger(datetime.now(UTC)))
        wait_until(lambda: ticks(journal), "the tick to be fired")


def test_worker_without_schedules_fires_none(start: Start, url: str) -> None:
    with jm.Journal(url) as journal:
        start("worker", "shop.tasks", "--no-schedules", "--journal", url)
        generate(journal, "tick", jm.DateTrigger(datetime.now(UTC)))
        add = jm.Message(task_name="add", args=[1, 2])
        jm.Broker(journal).submit(add, new=True)
        jm.StatusTracker(journal).wait_for(add, jm.TaskStatus.SUCCEEDED, timeout=60)
        assert ticks(journal) == []


@pytest.mark.parametrize("arguments", [["schedule", "list"], ["scheduler"]])
def test_commands_of_schedules_need_a_journal_that_can_be_shared(call: Run, arguments: list[str]) -> None:
    said = call(*arguments, "--journal", "memory://")
    assert said.returncode == 2
    assert "lives inside one process" in said.stderr
