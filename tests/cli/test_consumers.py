"""`journeyman consumers`, as it is used, on a file and on Kafka."""

import contextlib
import json
import os
import pty
import re
import subprocess
import uuid
from collections.abc import Callable
from typing import Any

import journeyman as jm
import pytest
from support.waiting import wait_until

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]
PATIENCE = 30.0


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def either(request: pytest.FixtureRequest, url: str) -> str:
    """A journal's URL, on a file and on Kafka."""
    if request.param == "sqlite":
        return url
    return f"kafka://{request.getfixturevalue('kafka_bootstrap')}/test-{uuid.uuid4()}?partitions=3"


def fill(journal: jm.Journal, *contents: int) -> None:
    journal.append_all([("order.paid", {"n": n}, "one") for n in contents])


def consumed(journal: jm.Journal, count: int, name: str = "billing") -> None:
    with jm.JournalConsumer(journal, "order", checkpoint=name) as consumer:
        for _ in range(count):
            consumer.poll(PATIENCE)
        consumer.commit()


def ahead(journal: jm.Journal, name: str = "billing") -> list[Any]:
    with jm.JournalConsumer(journal, "order", checkpoint=name) as consumer:
        consumer.stop()
        return [event.context["n"] for event in consumer]


def test_checkpoints_are_listed_with_age_and_lag(call: Run, either: str) -> None:
    with jm.Journal(either) as journal:
        done = call("consumers", "--journal", either)
        assert done.stdout == f"no consumer has saved a checkpoint in {journal.url}\n", done.stderr
        fill(journal, *range(6))
        consumed(journal, 2)
        consumed(journal, 6, "sending")
        done = call("consumers", "--journal", either)
        head, billing, sending = done.stdout.splitlines()
        assert " ".join(head.split()) == "consumer saved lag ahead next parked topic stands at saved by"
        assert billing.split()[0] == "billing"
        assert billing.split()[4:5] == ["4"] or " 4 " in billing
        assert " order " in sending
        said = {
            each["name"]: each
            for each in json.loads(call("consumers", "--json", "--journal", either).stdout)["consumers"]
        }
        assert (said["billing"]["lag"], said["sending"]["lag"]) == (4, 0)
        assert 0 <= said["billing"]["age_seconds"] < 600
        assert said["billing"]["next_at"] is not None
        assert said["billing"]["ahead"] >= 4
        assert said["billing"]["topic"] == "order"
        assert said["billing"]["consumer"].count(":") >= 2


def terminal(start: Start, *arguments: str) -> list[str]:
    """The lines of a command on a terminal of 80 columns, without colours."""
    ours, theirs = pty.openpty()
    with start(*arguments, stdout=theirs, COLUMNS="80"):
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # at the end, on Linux
            while more := os.read(ours, 65_536):
                shown += more
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).splitlines()


def test_lag_and_positions_are_whole_on_a_terminal(start: Start, url: str) -> None:
    def refuse(event: Any) -> None:
        if event is not None and event.context["n"] == 1_000:
            raise ValueError("a text that is too long for the rest of a line of eighty columns, whatever comes first")

    name = "billing-of-the-shop"
    with jm.Journal(url) as journal:
        fill(journal, *range(1_001))
        consumer = jm.JournalConsumer(journal, "order", checkpoint=name, on_error="park", attempts=1)
        consumer.set_callback(refuse).start().stop()
        consumer.join(PATIENCE)
        consumer.close()
        fill(journal, *range(1_234))
    head, line = terminal(start, "consumers", "--journal", url)
    assert max(len(head.rstrip()), len(line.rstrip())) <= 80
    assert head.split()[:6] == ["consumer", "saved", "lag", "ahead", "next", "parked"]
    assert line.split()[0] == name
    assert {"1,234", "1,236", "1"} <= set(line.split())
    head, line = terminal(start, "consumers", "parked", name, "--journal", url)
    assert max(len(head.rstrip()), len(line.rstrip())) <= 80
    assert line.split()[:3] == ["0:1000", "order.paid", "one"]
    assert "…" in line


def test_reset_shows_the_position_before_and_after(call: Run, either: str) -> None:
    with jm.Journal(either) as journal:
        fill(journal, *range(6))
        consumed(journal, 4)
        done = call("consumers", "reset", "billing", "--to", "beginning", "--dry-run", "--journal", either)
        first, second = done.stdout.splitlines()
        assert first.startswith("would move the checkpoint billing from "), done.stderr
        assert second == "4 events of the topic order come again, 0 events of the topic order are skipped"
        assert ahead(journal) == [4, 5], "a dry run moves nothing"
        done = call("consumers", "reset", "billing", "--to", "beginning", "--journal", either)
        assert done.stdout.startswith("moved the checkpoint billing from ")
        assert "it may be running" in done.stdout
        assert ahead(journal) == [0, 1, 2, 3, 4, 5]
        done = call("consumers", "reset", "billing", "--to", "end", "--journal", either)
        assert done.returncode == 2
        assert "skips 6 events of the topic order. Move its checkpoint? Say --yes" in done.stderr
        assert ahead(journal) == [0, 1, 2, 3, 4, 5]
        done = call("consumers", "reset", "billing", "--to", "end", "--yes", "--json", "--journal", either)
        said = json.loads(done.stdout)
        assert (said["again"], said["skipped"], said["moved"], said["counted_topic"]) == (0, 6, True, "order")
        assert ahead(journal) == []
        done = call("consumers", "reset", "billing", "--to", said["from"], "--json", "--journal", either)
        assert json.loads(done.stdout)["to"] == said["from"]
        assert ahead(journal) == [0, 1, 2, 3, 4, 5]


def test_checkpoint_of_other_partitions_is_reset(call: Run, url: str) -> None:
    with jm.Journal(url) as journal:
        fill(journal, *range(6))
        context = {"name": "billing", "cursor": "0:2,3:9", "topic": "order"}
        journal.append("consumer.checkpointed", context, key="billing")
        done = call("consumers", "reset", "billing", "--to", "end", "--yes", "--json", "--journal", url)
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert (said["again"], said["skipped"]) == (0, 4)
        assert said["to"].startswith("0:7")
        assert "," not in said["to"]


def test_reset_to_a_time_continues_with_later_events(call: Run, either: str) -> None:
    with jm.Journal(either) as journal:
        fill(journal, 0, 1, 2)
        last = journal.append("order.paid", {"n": 3}, key="one")
        fill(journal, 4, 5)
        consumed(journal, 6)
        done = call("consumers", "reset", "billing", "--to", f"{last.timestamp:.6f}", "--journal", either)
        assert done.returncode == 0, done.stderr
        assert ahead(journal) == [4, 5]


def test_reset_refuses_unknown_checkpoints_and_positions(call: Run, url: str) -> None:
    with jm.Journal(url) as journal:
        fill(journal, 1)
        consumed(journal, 1)
    for arguments, complaint in (
        (("filling", "--to", "end"), "no consumer has saved a checkpoint named 'filling'"),
        (("billing", "--to", "3:1"), "no partition 3"),
        (("billing", "--to", "0:99"), "99 is not one of them"),
        (("billing", "--to", "teatime"), "takes a time such as"),
        (("billing", "--to", "2099-01-01"), "lies ahead"),
    ):
        done = call("consumers", "reset", *arguments, "--journal", url)
        assert done.returncode == 2, done.stderr
        assert complaint in done.stderr
    stderr = call("consumers", "reset", "fil\x1b[31mling", "--to", "end", "--journal", url).stderr
    assert "\x1b" not in stderr
    stderr = call("consumers", "reset", "billing", "--to", "2200-01-01", "--journal", url).stderr
    assert "--to=2200-01-01 lies more than a century ahead" in stderr
    assert "It also takes beginning, end, or a cursor such as 0:42" in stderr
    assert "there are billing" in call("consumers", "reset", "filling", "--to", "end", "--journal", url).stderr


def test_parked_events_are_shown_replayed_and_dropped(call: Run, either: str) -> None:
    with jm.Journal(either) as journal:
        fill(journal, 1, 2, 3, 4)
        calls: list[Any] = []
        bad = {1, 2, 3}

        def callback(event: Any) -> None:
            n = None if event is None else event.context["n"]
            calls.append(n)
            if n in bad:
                raise ValueError(f"{n} is \x1b[31mtoo much\n")

        consumer = jm.JournalConsumer(journal, "order", checkpoint="billing", on_error="park", attempts=1)
        consumer.set_callback(callback).start()
        wait_until(lambda: 4 in calls, "the consumer goes on behind what is parked")
        done = call("consumers", "parked", "billing", "--journal", either)
        head, *lines = done.stdout.splitlines()
        assert head.split() == ["position", "event", "key", "parked", "attempts", "error"], done.stderr
        assert len(lines) == 3
        assert "order.paid" in lines[0]
        assert "ValueError: 1 is \\x1b[31mtoo much" in lines[0]
        said = json.loads(call("consumers", "parked", "billing", "--json", "--journal", either).stdout)
        first, second, third = said["parked"]
        assert first["event"]["context"] == {"n": 1}
        assert "Traceback" in first["error"]["traceback"]
        listed = json.loads(call("consumers", "--json", "--journal", either).stdout)
        assert listed["consumers"][0]["parked"] == 3

        bad.clear()
        done = call("consumers", "replay", "billing", "--position", second["position"], "--journal", either)
        assert done.stdout == (f"1 event will be handed to the consumer billing again: {second['position']}\n"), (
            done.stderr
        )
        wait_until(lambda: calls.count(2) == 2, "the running consumer hands the replayed event out")
        done = call("consumers", "replay", "billing", "--position", second["position"], "--journal", either)
        assert done.returncode == 2
        assert f"no event is parked at {second['position']}" in done.stderr

        done = call("consumers", "drop", "billing", "--position", first["position"], "--journal", either)
        assert (done.returncode, "Give up 1 parked event" in done.stderr) == (2, True)
        done = call(
            "consumers",
            "drop",
            "billing",
            "--position",
            first["position"],
            "--yes",
            "--why",
            "a test",
            "--journal",
            either,
        )
        assert done.stdout == f"1 event dropped for the consumer billing: {first['position']}\n"
        done = call("consumers", "replay", "billing", "--dry-run", "--json", "--journal", either)
        assert json.loads(done.stdout) == {"positions": [third["position"]], "done": False}
        done = call("consumers", "replay", "billing", "--journal", either)
        wait_until(lambda: calls.count(3) == 2, "the running consumer hands the last one out")
        consumer.close()
        assert (
            "no event is parked under the name billing"
            in call("consumers", "parked", "billing", "--journal", either).stdout
        )
        with jm.JournalConsumer(journal, "consumer.dropped", until=journal.bounds().end) as dropped:
            (event,) = list(dropped)
        assert (event.context["why"], event.context["position"]) == ("a test", first["position"])
        assert "@" in event.context["by"]
        assert calls == [1, 2, 3, 4, 2, 3]
