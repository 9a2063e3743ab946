"""`since` and `until` in every form and with bad values; topics that no event can have."""

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from journeyman.consumers import JournalConsumer
from journeyman.consumers.moments import moment
from journeyman.consumers.topic import Topic
from journeyman.journal import Draft, Journal

NOW = 1_795_305_600.0


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (12, 12.0),
        (NOW + 0.25, NOW + 0.25),
        (datetime.fromtimestamp(NOW, UTC), NOW),
        (datetime.fromtimestamp(NOW, timezone(timedelta(hours=5))), NOW),
        (timedelta(minutes=10), NOW - 600),
        ("10m", NOW - 600),
        ("1h30m", NOW - 5_400),
        ("1795305600.25", NOW + 0.25),
        ("2026-11-22T08:00Z", datetime(2026, 11, 22, 8, tzinfo=UTC).timestamp()),
    ],
)
def test_moment_takes_numbers_datetimes_and_spans(given: Any, seconds: float) -> None:
    assert moment(given, "since", NOW) == seconds


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (
            NOW * 1e3,
            r"since=1795305600000.0 lies more than a century ahead. It looks like milliseconds: divided by 1,000",
        ),
        (int(NOW * 1e6), "It looks like microseconds"),
        (int(NOW * 1e9), "It looks like nanoseconds"),
        ("1795305600000", "It looks like milliseconds"),
        (9e9, "since takes seconds since the epoch; now is 1795305600"),
        ("2999-01-01", "more than a century ahead"),
        (float("inf"), "never comes: leave since out"),
        (float("nan"), "got NaN"),
        (datetime(2026, 11, 22), "datetime with its zone"),  # noqa: DTZ001 - what is refused
        (timedelta(minutes=-1), "a span before now"),
        ("teatime", "since takes a time such as"),
        ("25:00", "since takes a time such as 14:05"),
        ("20261399", "since takes a time such as"),
        ("", "since takes a time such as"),
        ("1405", r"since=1405 as seconds since the epoch is 1970-01-01T00:23:25.*a time of day as 14:05"),
    ],
)
def test_moment_refuses_implausible_values(given: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        moment(given, "since", NOW)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/St_Johns"])
def test_moment_takes_typed_forms(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        now = datetime(2026, 11, 22, 13, 30).astimezone().timestamp()

        def local(*parts: int) -> float:
            return datetime(*parts).astimezone().timestamp()  # type: ignore[arg-type]

        for given, seconds in (
            ("13:05", local(2026, 11, 22, 13, 5)),
            ("9:00", local(2026, 11, 22, 9)),
            ("14:05", local(2026, 11, 21, 14, 5)),
            ("14:05:30", local(2026, 11, 21, 14, 5, 30)),
            ("yesterday 9:00", local(2026, 11, 21, 9)),
            ("Yesterday", local(2026, 11, 21)),
            ("today", local(2026, 11, 22)),
            ("today 09:30", local(2026, 11, 22, 9, 30)),
            ("20261121", local(2026, 11, 21)),
            ("2026-11-21", local(2026, 11, 21)),
            ("2026-11-21 09:00", local(2026, 11, 21, 9)),
            ("0", 0.0),
        ):
            assert moment(given, "since", now) == seconds, given
    finally:
        monkeypatch.undo()
        time.tzset()


def test_time_of_day_follows_a_change_to_winter_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        now = datetime(2026, 10, 25, 12, tzinfo=UTC).timestamp()  # the clocks went back at 01:00 UTC
        assert moment("01:30", "since", now) == datetime(2026, 10, 24, 23, 30, tzinfo=UTC).timestamp()
        assert moment("04:00", "since", now) == datetime(2026, 10, 25, 3, 0, tzinfo=UTC).timestamp()
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("given", [None, True, [1], b"10m"])
def test_moment_refuses_other_types(given: Any) -> None:
    with pytest.raises(TypeError, match="a time in seconds since the epoch"):
        moment(given, "since", NOW)


def test_since_and_until_take_the_same_forms() -> None:
    with Journal("memory://") as journal:
        now = time.time()
        journal.append_drafts([Draft("order.paid", timestamp=now - age) for age in (280, 150, 20)])
        cases: list[tuple[Any, Any]] = [
            ("200s", "1m"),
            (timedelta(seconds=200), timedelta(minutes=1)),
            (datetime.fromtimestamp(now - 200, UTC), datetime.fromtimestamp(now - 60, UTC)),
        ]
        for since, until in cases:
            with JournalConsumer(journal, "order", since=since, until=until) as consumer:
                assert [event.position for event in consumer] == [(0, 1)]
            assert isinstance(consumer.since, float)
        with JournalConsumer(journal, until="0:1") as consumer:
            assert [event.position for event in consumer] == [(0, 0)], "a text such as 0:1 is a cursor"
        with pytest.raises(ValueError, match="until takes a time such as"):
            JournalConsumer(journal, until="teatime")


@pytest.mark.parametrize(
    ("topic", "advice"),
    [
        ("order.*", "write 'order'"),
        ("order.#", "write 'order'"),
        ("order.*.paid", "write 'order'|choose with where"),
        ("*", "write ''"),
        ("ord*", "write ''"),
        ("order,task", "One consumer follows one topic"),
        ("order task", "One consumer follows one topic"),
        ("order|task", "One consumer follows one topic"),
        ("order.", "Write 'order'"),
        (".order", "Write 'order'"),
        ("order..paid", "Write 'order.paid'"),
        (" order", "Write 'order'"),
        ("order/paid", "Write 'orderpaid'"),
        (".", "Write ''"),
        ("x" * 201, "Write ''"),
    ],
)
def test_impossible_topic_is_refused(topic: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice) as refused:
        Topic(topic)
    assert "no event can be of the topic" in str(refused.value)
    with Journal("memory://") as journal, pytest.raises(ValueError, match="no event can be of the topic"):
        JournalConsumer(journal, topic)


@pytest.mark.parametrize("topic", ["", "order", "order.paid", "job-manager.events-journal", "a_b.C-9"])
def test_topic_of_valid_words_is_taken(topic: str) -> None:
    assert Topic(topic).prefix == topic
