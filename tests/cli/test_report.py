"""`journeyman report`: what it tells of a stretch of time, on a terminal, as a page and as JSON."""

import json
import re
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import journeyman as jm
import msgspec
import pytest
from journeyman.cli.limits import REPORT_BUCKETS_MAX, REPORT_TICKS_MAX, SPARK_COLUMNS_MAX
from journeyman.cli.reporting import scale
from journeyman.cli.reporting.tables import spark
from journeyman.journal.event import Draft
from journeyman.tasks.state import names
from support.service import service_here

Run = Callable[..., "subprocess.CompletedProcess[str]"]

NOON: Final = 1_700_000_000.0
NAMED: Final = "<script>alert('&')</script>"
WINDOW: Final = ("--since", f"{NOON:.0f}", "--until", f"{NOON + 3_600:.0f}")


def _tell(journal: jm.Journal, at: float, name: str, key: str, /, **context: Any) -> int:
    drafted = Draft(name, msgspec.json.encode(context), key, timestamp=NOON + at)
    return journal.run(journal.asynchronous.append_drafts([drafted]))[0].offset


@pytest.fixture
def told(url: str) -> str:
    """A journal: two successes, a failure of a task with an odd name, a retry, a stale outcome, an expired worker."""
    with jm.Journal(url) as journal:
        for worker in ("ada", "bob"):
            host = f"{worker}.example"
            joined = _tell(journal, 1, names.JOINED, worker, worker=worker, host=host, pid=7, lease_ms=1_000)
        for number, (name, queue) in enumerate([("send", "mail"), ("send", "mail"), (NAMED, "bulk"), ("send", "mail")]):
            task, at = f"task-{number}", 60.0 * number + 10
            _tell(journal, at, names.SUBMITTED, task, task=task, task_name=name, queue=queue, max_retries=2)
            claim = _tell(journal, at + 5, names.CLAIMED, task, task=task, worker="ada")
            ended = {"task": task, "worker": "ada", "claim": claim, "ran_ms": 250.0 * (number + 1)}
            error = {"name": "smtplib.SMTPException", "text": "<b>no</b> post\ntoday"}
            outcome = (names.SUCCEEDED, names.SUCCEEDED, names.FAILED, names.RETRIED)[number]
            more = {} if outcome == names.SUCCEEDED else {"exception": error}
            _tell(journal, at + 8, outcome, task, **ended, **more)
        _tell(journal, 300, names.SUCCEEDED, "task-0", task="task-0", worker="ada", claim=0)
        _tell(journal, 320, names.CLAIMED, "task-3", task="task-3", worker="bob")
        last = joined + 4 * 3 + 2
        assert _tell(journal, 340, names.EXPIRED, "bob", worker="bob", last=last, by="ada") == last + 1
        _tell(journal, 7_200, "shop.closed", "shop")
    return url


def test_report_shows_what_happened(told: str, call: Run) -> None:
    done = call("report", told, *WINDOW)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0][0] == told
    assert next(line[:7] for line in lines if line[:1] == ["mail"]) == ["mail", "3", "2", "0", "1", "1", "0"]
    assert next(line[:7] for line in lines if line[:1] == ["all"]) == ["all", "4", "2", "1", "1", "1", "0"]
    shown = " ".join(done.stdout.split())
    assert f"{NAMED} bulk smtplib.SMTPException 1 0" in shown
    assert "<b>no</b> post today" in shown
    assert "1.00 s send mail task-3 retried" in shown
    assert "bob bob.example" in shown
    assert "1 stale outcome was refused" in shown


def test_json_has_the_same_content(told: str, call: Run) -> None:
    (said,) = [json.loads(line) for line in call("report", told, *WINDOW, "--json").stdout.splitlines()]
    assert (said["journal"], said["since"], said["until"]) == (told, NOON + 1 - 0.001, NOON + 3_600)
    assert said["begun"] == NOON + 1
    assert {name: count for name, count in said["total"]["counts"].items() if count} == {
        "submitted": 4,
        "started": 5,
        "succeeded": 2,
        "failed": 1,
        "retried": 1,
        "returned": 1,
        "stale_outcomes": 1,
    }
    assert said["total"]["latency"]["max"] == 8.0
    assert said["total"]["waited"]["p50"] == pytest.approx(5.0, rel=said["relative_error"])
    assert [failure["failed"] for failure in said["failures"]] == [1, 0]
    assert said["expired"] == [{"worker": "bob", "host": "bob.example", "at": NOON + 340, "returned": 1, "failed": 0}]
    assert len(said["ends"]) == len(said["total"]["over_time"]["waiting"]) <= REPORT_BUCKETS_MAX


def test_bucket_and_journal_option_are_taken(told: str, call: Run) -> None:
    said = json.loads(call("report", "--journal", told, *WINDOW, "--bucket", "10m", "--json").stdout)
    assert said["bucket_seconds"] == 600.0
    assert len(said["ends"]) == 6


class _Page(HTMLParser):
    """Reads a page strictly: each element that is opened is closed; collects what could load or run something."""

    VOID: Final = {"meta", "link", "br", "img", "input", "hr", "base"}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def _page(text: str) -> _Page:
    page = _Page()
    page.feed(text)
    page.close()
    assert page.open == []
    return page


def test_page_holds_everything_and_loads_nothing(told: str, call: Run, shop: Path) -> None:
    done = call("report", told, *WINDOW, "--html", "report.html")
    assert done.stdout == "wrote the report to report.html; open it in a browser\n"
    text = (shop / "report.html").read_text(encoding="utf-8")
    page = _page(text)
    assert not page.elements & {"script", "link", "img", "iframe", "object", "form", "b", "base"}
    assert not page.attributes & {"src", "href", "style", "srcset"}
    assert not [name for name in page.attributes if name.startswith("on")]
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text
    shown = " ".join(page.texts)
    for expected in (told, NAMED, "<b>no</b> post today", "bob.example", "smtplib.SMTPException", "Slowest runs"):
        assert expected in shown
    assert text.count('<svg viewBox="0 0') == 6


def test_page_goes_to_stdout_too(told: str, call: Run) -> None:
    done = call("report", told, *WINDOW, "--html", "-")
    assert done.stdout.startswith("<!doctype html>")
    assert done.stdout.endswith("</html>\n")


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_colours_of_the_page_have_the_contrast_of_aa() -> None:
    style = files("journeyman.cli.reporting").joinpath("report.css").read_text(encoding="utf-8")
    themes = [
        dict(re.findall(r"--(\w+): (#\w{6})", theme)) for theme in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    ]
    assert len(themes) == 3  # light, dark, print
    for theme in themes:
        for ground in (theme["paper"], theme["panel"]):
            for name in ("ink", "muted", "blue", "green", "red", "amber", "purple"):
                lighter, darker = sorted((_luminance(theme[name]), _luminance(ground)), reverse=True)
                assert (lighter + 0.05) / (darker + 0.05) >= 4.5, f"{name} on {ground}"


def test_journal_without_tasks_reports_that_nothing_happened(url: str, call: Run, shop: Path) -> None:
    with jm.Journal(url):
        pass
    assert "nothing happened, and no task waits or runs" in call("report", url).stdout
    call("report", url, "--html", "empty.html")
    page = _page((shop / "empty.html").read_text(encoding="utf-8"))
    assert "Nothing happened, and no task waits or runs." in page.texts


def test_report_of_a_service_equals_that_of_the_file(told: str, call: Run) -> None:
    here = json.loads(call("report", told, *WINDOW, "--json").stdout)
    with service_here(told) as address:
        there = json.loads(call("report", address, *WINDOW, "--json").stdout)
    assert {**there, "journal": told} == here


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--since", "1h", "--until", "2h"), "--since takes a moment before --until, such as --since 24h --until 1h"),
        (("--since", "lately"), "--since takes a time such as 14:05"),
        (("--bucket", "1x"), "--bucket takes a span with its unit"),
        (("--bucket", "0s"), "the width of a bucket is a number of seconds above 0, got 0"),
        (("--since", "7d", "--bucket", "1s"), "choose a width of"),
        (("--journal", "sqlite:///other.db"), "the journal is named twice"),
        (("--html", "-", "--json"), "name a file for one of them"),
        (("--html", "nowhere/report.html"), "nowhere/report.html cannot be written: No such file or directory"),
    ],
)
def test_wrong_option_is_refused_with_what_it_takes(url: str, call: Run, arguments: tuple[str, ...], said: str) -> None:
    with jm.Journal(url) as journal:
        _tell(journal, 0, "shop.opened", "shop")
    done = call("report", url, *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_missing_journal_is_not_created(call: Run, shop: Path) -> None:
    done = call("report", "sqlite:///missing.db")
    assert done.returncode == 2
    assert "missing.db" in done.stderr
    assert not (shop / "missing.db").exists()


# -- scales ------------------------------------------------------------------------------------------------------------


def test_buckets_have_usual_widths() -> None:
    widths = [
        (60.0, 1.0),
        (3_600.0, 60.0),
        (86_400.0, 900.0),
        (7 * 86_400.0, 7_200.0),
        (10_000 * 86_400.0, 364 * 86_400.0),
    ]
    assert [(seconds, scale.bucket_width(seconds)) for seconds, _ in widths] == widths
    for exponent in range(1, 60):
        seconds = 1.37**exponent
        assert seconds / scale.bucket_width(seconds) <= REPORT_BUCKETS_MAX


def test_ticks_of_time_are_few_and_within_the_window() -> None:
    for exponent in range(8, 60):
        seconds = 1.37**exponent
        ticks = scale.time_ticks(NOON, NOON + seconds)
        assert 1 <= len(ticks) <= REPORT_TICKS_MAX + 1
        assert all(NOON <= moment <= NOON + seconds for moment, _ in ticks)
        assert all(text for _, text in ticks)


def test_ticks_of_values_reach_to_the_greatest() -> None:
    for greatest in (0, 1, 3, 4, 7, 99, 100, 101, 12_345):
        ticks = scale.count_ticks(greatest)
        assert ticks[0] == 0
        assert ticks[-1] >= greatest
        assert len(ticks) <= 7
        assert all(tick == int(tick) for tick in ticks)
    for span in (0, 0.0004, 0.3, 1, 59, 61, 7_000, 90_000, 1e7):
        ticks = scale.span_ticks(span)
        assert ticks[-1] >= max(span, 0.001) * 0.999
        assert len(ticks) <= 7


def test_short_texts_name_their_unit() -> None:
    spans = (0, 0.000_2, 0.015, 1, 1.5, 120, 10_800, 86_400)
    said = ["0", "200 µs", "15 ms", "1 s", "1.5 s", "2 min", "3 h", "1 d"]
    assert [scale.short_span(seconds) for seconds in spans] == said
    assert [scale.short_count(count) for count in (0, 950, 12_000, 3.4e6)] == ["0", "950", "12k", "3.4M"]
    assert [scale.rate(count, 3_600, scale.rate_unit(count, 3_600)) for count in (0, 30, 120, 7_200, 36_000_000)] == [
        "0/h",
        "30/h",
        "2/min",
        "2/s",
        "10,000/s",
    ]


def test_small_chart_is_as_high_as_the_greatest_value() -> None:
    assert spark([0, 1, 4, 8]) == " ▁▄█"
    assert spark([0, 0]) == "  "
    assert len(spark(range(1_000))) <= SPARK_COLUMNS_MAX
