"""`journeyman tail` as a process: history, then live events, for people and for tools."""

import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import journeyman as jm
import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def events(url: str) -> list[jm.Event]:
    """Four events of three orders."""
    with jm.Journal(url) as journal:
        return [
            journal.append("order.paid", {"order": 7, "by": "Ada"}, key="7"),
            journal.append("orders.counted", {"count": 1}),
            journal.append("order.sent", {"order": 7}, key="7"),
            journal.append("order.paid", {"order": 8, "note": "red \x1b[31m text"}, key="8"),
        ]


def _lines(done: "subprocess.CompletedProcess[str]") -> list[dict[str, object]]:
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_json_lines_hold_the_event_as_it_stands_in_the_journal(call: Run, url: str, events: list[jm.Event]) -> None:
    lines = _lines(call("tail", "--journal", url, "--json", "--no-follow"))
    assert lines == [
        {
            "timestamp": event.timestamp,
            "name": event.name,
            "context": event.context,
            "key": event.key,
            "position": f"{event.partition}:{event.offset}",
        }
        for event in events
    ]


def test_topic_is_a_dotted_prefix(call: Run, url: str, events: list[jm.Event]) -> None:
    lines = _lines(call("tail", "--journal", url, "--json", "--no-follow", "--topic", "order"))
    assert [line["name"] for line in lines] == ["order.paid", "order.sent", "order.paid"]


def test_key_selects_one_subject(call: Run, url: str, events: list[jm.Event]) -> None:
    lines = _lines(call("tail", "--journal", url, "--json", "--no-follow", "--key", "7"))
    assert [line["name"] for line in lines] == ["order.paid", "order.sent"]


def test_since_begins_after_a_time(call: Run, url: str, events: list[jm.Event]) -> None:
    since = f"{events[1].timestamp:.6f}"
    lines = _lines(call("tail", "--journal", url, "--json", "--no-follow", "--since", since))
    assert [line["position"] for line in lines] == ["0:2", "0:3"]
    assert len(_lines(call("tail", "--journal", url, "--json", "--no-follow", "--since", "1h"))) == len(events)


def test_cursor_option_begins_exactly_there(call: Run, url: str, events: list[jm.Event]) -> None:
    def tailed(*arguments: str) -> list[str]:
        done = call("tail", "--no-follow", "--json", "--journal", url, *arguments)
        assert done.returncode == 0, done.stderr
        return [json.loads(line)["position"] for line in done.stdout.splitlines()]

    everything = tailed()
    assert tailed("--cursor", "0:1") == everything[1:]
    assert tailed("--cursor", f"0:{len(events)}") == []
    for cursor, status, complaint in (
        ("teatime", 2, "--cursor:"),
        ("", 2, "--cursor takes a place"),
        ("3:1", 2, "not one of this journal"),
        ("0:1000", 1, "does not belong to this journal: partition 0 ends at offset"),
    ):
        done = call("tail", "--no-follow", "--journal", url, "--cursor", cursor)
        assert done.returncode == status, done.stderr
        assert complaint in done.stderr
    done = call("tail", "--no-follow", "--journal", url, "--cursor", "0:1", "--since", "1h")
    assert "choose one" in done.stderr


def test_lines_for_people_are_plain_in_a_pipe(call: Run, url: str, events: list[jm.Event]) -> None:
    done = call("tail", "--journal", url, "--no-follow")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) == len(events)
    assert lines[0].endswith("order.paid  order=7,by=Ada")
    assert "\x1b" not in done.stdout


def test_tail_follows_until_ctrl_c(start: Start, url: str, events: list[jm.Event]) -> None:
    tail = start("tail", "--journal", url, "--json")
    assert tail.stdout is not None
    shown = [json.loads(tail.stdout.readline()) for _ in events]
    assert [line["position"] for line in shown] == ["0:0", "0:1", "0:2", "0:3"]
    with jm.Journal(url) as journal:
        journal.append("order.sent", {"order": 8}, key="8")
    assert json.loads(tail.stdout.readline())["context"] == {"order": 8}
    tail.send_signal(signal.SIGINT)
    out, err = tail.communicate(timeout=60)
    assert (tail.returncode, out, err) == (130, "", "")


def test_tail_ends_quietly_when_its_reader_is_gone(start: Start, url: str, events: list[jm.Event]) -> None:
    tail = start("tail", "--journal", url, "--json")
    assert tail.stdout is not None
    assert tail.stderr is not None
    tail.stdout.readline()
    tail.stdout.close()  # as `head -1` does; nothing is appended any more
    assert tail.wait(timeout=60) == 141
    assert tail.stderr.read() == ""


def test_tail_ends_quietly_within_a_long_history(start: Start, url: str) -> None:
    with jm.Journal(url) as journal:
        journal.append_all([("order.paid", {"order": order}, str(order)) for order in range(5_000)])
    tail = start("tail", "--journal", url, "--no-follow")
    assert tail.stdout is not None
    assert tail.stderr is not None
    tail.stdout.readline()
    tail.stdout.close()
    assert tail.wait(timeout=60) == 141
    assert tail.stderr.read() == ""


def test_end_of_history_is_marked_on_a_terminal(start: Start, url: str, events: list[jm.Event]) -> None:
    ours, theirs = pty.openpty()
    tail = start("tail", "--journal", url, stdout=theirs)
    os.close(theirs)
    shown = ""
    while "history ends here" not in shown:
        shown += os.read(ours, 4_096).decode()
    assert shown.index("order.sent") < shown.index("history ends here")
    assert "\x1b[31m text" not in shown, "what an event holds must not colour the terminal"
    tail.send_signal(signal.SIGINT)
    assert tail.wait(timeout=60) == 130
    os.close(ours)


def test_reading_creates_no_journal(call: Run, shop: Path) -> None:
    assert call("tail", "--journal", "sqlite:///typo.db").returncode == 2
    assert not list(shop.glob("typo.db*"))
