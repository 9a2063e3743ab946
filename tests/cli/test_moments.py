"""Moments as people type them."""

import os
import time
from collections.abc import Iterator

import pytest
from journeyman.cli.shared.failures import BadInput
from journeyman.cli.shared.moments import parse_moment
from journeyman.cli.shared.screen import printable, span, when
from journeyman.tasks.inspection.wording import clock

NOW = 1_795_305_600.0


@pytest.fixture
def five_hours_west() -> Iterator[None]:
    """Local time is five hours behind universal time."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "EST5"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.parametrize(
    ("text", "seconds_before_now"),
    [
        ("10m", 600),
        ("2h", 7_200),
        ("3d", 259_200),
        ("1h30m", 5_400),
        ("250ms", 0.25),
        (" 1w ", 604_800),
        ("1.5h", 5_400),
    ],
)
def test_spans_are_counted_back_from_now(text: str, seconds_before_now: float) -> None:
    assert parse_moment(text, NOW) == NOW - seconds_before_now


def test_seconds_since_the_epoch_stand_as_they_are() -> None:
    assert parse_moment("1795305600.25", NOW) == NOW + 0.25


@pytest.mark.usefixtures("five_hours_west")
def test_time_without_a_zone_is_local() -> None:
    assert parse_moment("2026-11-22T09:00", NOW) - parse_moment("2026-11-22T09:00Z", NOW) == 5 * 3_600
    assert parse_moment("2026-11-22T09:00+01:00", NOW) == parse_moment("2026-11-22T08:00Z", NOW)
    assert parse_moment("2026-11-22", NOW) == parse_moment("2026-11-22T05:00Z", NOW)


@pytest.mark.usefixtures("five_hours_west")
def test_times_are_shown_local_with_zone_and_milliseconds() -> None:
    assert when(parse_moment("2026-11-22T09:00:00.0125Z", NOW)) == "2026-11-22 04:00:00.012-05:00"
    later = parse_moment("2026-11-22T09:30Z", NOW)
    assert clock(parse_moment("2026-11-22T09:00Z", NOW), later) == "04:00:00-05:00"
    assert clock(NOW, later) == "2026-11-21 19:00:00-05:00"


@pytest.mark.usefixtures("five_hours_west")
@pytest.mark.parametrize("text", ["2026-11-22 04:00:00.012-05:00", "2026-11-22 04:00:00-05:00"])
def test_shown_time_can_be_typed(text: str) -> None:
    assert when(parse_moment(text, NOW), "milliseconds" if "." in text else "seconds") == text


@pytest.mark.usefixtures("five_hours_west")
@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("04:00:00-05:00", "2026-11-22T09:00Z"),
        ("14:00:00+05:30", "2026-11-22T08:30Z"),
        ("08:30Z", "2026-11-22T08:30Z"),
        ("00:30-0330", "2026-11-22T04:00Z"),
        ("yesterday 23:00+01:00", "2026-11-21T22:00Z"),
        ("23:00+01:00", "2026-11-21T22:00Z"),
    ],
)
def test_time_of_day_may_have_a_zone(text: str, utc: str) -> None:
    now = parse_moment("2026-11-22T09:30Z", NOW)
    assert parse_moment(text, now) == parse_moment(utc, now)


@pytest.mark.parametrize("text", ["", "teatime", "-5m", "5 parsecs", "2026-13-01", "10mm", "1h 30"])
def test_other_text_is_refused_with_the_expected_forms(text: str) -> None:
    with pytest.raises(BadInput, match="--since takes a time such as"):
        parse_moment(text, NOW)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0012, "1.2 ms"),
        (3.412, "3.41 s"),
        (125, "2 min 5 s"),
        (3 * 3_600 + 12 * 60 + 30, "3 h 12 min"),
        (400 * 86_400 + 2 * 3_600, "400 d 2 h"),
        (-0.5, "-500.0 ms"),
    ],
)
def test_spans_are_shown_in_a_natural_unit(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_event_content_cannot_control_the_terminal() -> None:
    assert printable("red \x1b[31m\n\x9b1m") == "red \\x1b[31m\\x0a\\x9b1m"
