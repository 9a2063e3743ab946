"""Clocks that are wrong: what they stamp, and where a time is then, against the rule spelled out."""

import asyncio
import itertools
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import journeyman as jm
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from journeyman.consumers.views.as_of import as_of
from journeyman.consumers.views.view import View
from journeyman.journal.event import Draft, Event, draft
from journeyman.journal.limits import CLOCK_SKEW_SECONDS_MAX, CLOCK_STEP_SECONDS_MAX
from journeyman.journal.memory.log import MemoryLog, MemoryStore
from journeyman.journal.runtime import blocking
from journeyman.journal.sqlite.log import SqliteLog
from journeyman.journal.testing import ManualClock
from journeyman.journal.timeline import Ascent, Fall, runs_between, split
from journeyman.journal.writer import Writer
from journeyman.tasks.retention import plan

NOW = 1_700_000_000.0
DAY = 86_400.0
OFTEN = st.sampled_from([0.0, 0.25, 0.999999, 1.0, 1.5, 10.0, 400.0])
WRONG = st.sampled_from([0.0, 0.0, 0.0, DAY, -DAY, 20 * 365 * DAY, 400.0, -1.5, -0.5])


def place_by_rule(times: Sequence[float], timestamp: float, latest: float) -> int:
    """The rule of `timeline`, spelled out."""

    def wrong(place: int) -> int:
        early = sum(timestamp <= each <= latest for each in times[:place])
        return early + sum(each < timestamp for each in times[place:])

    def is_better(place: int, best: int) -> bool:
        between = [each - timestamp for each in times[best:place]]
        return wrong(place) < wrong(best) or (wrong(place) == wrong(best) and max(between) >= -min(between))

    best = 0
    for place in (index + 1 for index, each in enumerate(times) if each < timestamp):
        if is_better(place, best):
            best = place
    return best


def falls_of(times: Sequence[float]) -> list[Fall]:
    pairs = enumerate(itertools.pairwise(times), 1)
    return [Fall(offset, before, after) for offset, (before, after) in pairs if after < before]


@given(st.lists(st.integers(0, 12), min_size=1, max_size=14), st.integers(-1, 13), st.integers(0, 13))
@example([1, 2, 9, 3, 4], 4, 12)
def test_timeline_split_follows_the_rule(hours: list[int], timestamp: int, latest: int) -> None:
    times = [float(hour) for hour in hours]

    def search(run: Ascent, moment: float) -> int:
        return next((at for at in range(run.first, run.end) if times[at] >= moment), run.end)

    runs = list(runs_between(0, len(times), times[0], times[-1], falls_of(times)))
    assert split(runs, timestamp, latest, search) == place_by_rule(times, timestamp, latest)


@given(
    st.lists(st.integers(1, 5), min_size=8, max_size=30),
    st.integers(4, 20),
    st.integers(1, 3),
    st.sampled_from([DAY, -DAY, 20 * 365 * DAY]),
)
def test_wrong_stamps_move_no_other_place(pauses: list[int], at: int, count: int, error: float) -> None:
    right = list(itertools.accumulate(pauses, initial=NOW))
    at = min(at, len(right))
    times = [*right[:at], *(right[at - 1] + error + 0.001 * each for each in range(count)), *right[at:]]
    for index, moment in enumerate(times):
        if index < at - count or index > at + 2 * count:  # nearer, as few right ones are there as wrong ones
            assert place_by_rule(times, moment, 1e11) == index


@given(st.lists(st.tuples(OFTEN, st.sampled_from([0.0, DAY, -DAY, 0.9, -0.9])), min_size=1, max_size=30))
def test_writer_times_rise_except_for_wrong_clocks(steps: list[tuple[float, float]]) -> None:
    writer, now = Writer(), NOW
    last = 0.0
    for pause, error in steps:
        now += pause
        stamp = writer.stamp(now + error)
        if stamp < last:
            assert last - (now + error) > CLOCK_STEP_SECONDS_MAX - 1e-5
            assert stamp == pytest.approx(now + error, abs=1e-5)
        else:
            assert stamp > last
            assert stamp <= max(now + error + 1e-5, last + 2e-6)
        last = stamp


# Which of three writers appends how many events, after which pause, by which error of its clock.
appends = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), OFTEN, WRONG), min_size=1, max_size=16)


def stamped_by_rule(taken: Sequence[tuple[int, int, float, float]]) -> list[float]:
    """The times that the events of these appends have on a file, by the rule."""
    now, last, times = NOW, 0, list[float]()
    for _, count, pause, error in taken:
        now += pause
        for _ in range(count):
            clock = round((now + error) * 1e6)
            last = clock if clock > last or last - clock > CLOCK_STEP_SECONDS_MAX * 1e6 else last + 1
            times.append(last / 1e6)
    return times


@given(appends, st.sampled_from([0.0, 2 * DAY]))
@settings(max_examples=40, deadline=None)
def test_file_stamps_and_finds_by_the_rule(taken: list[tuple[int, int, float, float]], later: float) -> None:
    with tempfile.TemporaryDirectory() as directory:
        clock, errors = ManualClock(NOW), [0.0, 0.0, 0.0]
        path = str(Path(directory, "journal.db"))
        logs = [
            SqliteLog(path, synchronous="normal", clock=lambda at=at: clock() + errors[at])  # type: ignore[misc]
            for at in range(3)
        ]
        reader = SqliteLog(path, clock=clock)
        for log in (*logs, reader):
            blocking.run(log.open())
        times = list[float]()
        for at, count, pause, error in taken:
            clock.advance(pause)
            errors[at] = error
            times += [event.timestamp for event in blocking.run(logs[at].append([draft("a.b") for _ in range(count)]))]
        assert times == stamped_by_rule(taken)
        assert blocking.run(reader.falls()) == falls_of(times)
        clock.advance(later)
        for trimmed in (0, len(times) // 2):
            blocking.run(reader.trim({0: trimmed}))
            for moment in {each + nudge for each in times for nudge in (0.0, 1e-6, -1e-6)} | {0.0, 8e9}:
                place = blocking.run(reader.position_at(moment))[0]
                rule = place_by_rule(times[trimmed:], moment, clock() + CLOCK_SKEW_SECONDS_MAX)
                assert place == trimmed + rule
        for log in (*logs, reader):
            blocking.run(log.aclose())


@given(appends)
@settings(max_examples=60, deadline=None)
def test_memory_finds_by_the_rule(taken: list[tuple[int, int, float, float]]) -> None:
    store, clock, errors = MemoryStore(), ManualClock(NOW), [0.0, 0.0, 0.0]
    logs = [MemoryLog(store, clock=lambda at=at: clock() + errors[at]) for at in range(3)]  # type: ignore[misc]
    for at, count, pause, error in taken:
        clock.advance(pause)
        errors[at] = error
        blocking.run(logs[at].append([draft("a.b") for _ in range(count)]))
    times = [record.appended_at for record in store.partitions[0].records]
    for moment in {each + nudge for each in times for nudge in (0.0, 0.1)} | {0.0}:
        place = blocking.run(MemoryLog(store, clock=clock).position_at(moment))[0]
        assert place == place_by_rule(times, moment, clock() + CLOCK_SKEW_SECONDS_MAX)


# What it means for those who look


class Numbers(View):
    def __init__(self) -> None:
        self.numbers: list[int] = []

    def apply(self, event: Event) -> Any:
        self.numbers.append(event.context["number"])


@pytest.mark.parametrize("error", [DAY, -DAY, 20 * 365 * DAY, 3_000.0])
@pytest.mark.parametrize("later", [0.0, 2 * DAY])
def test_wrong_append_harms_no_lookup(tmp_path: Path, error: float, later: float) -> None:
    """Events a minute apart, the eleventh by a wrong clock: a look-up by time gives the same as without it."""
    clock, wrong = ManualClock(NOW), ManualClock(NOW)
    path = str(tmp_path / "journal.db")
    log, other = SqliteLog(path, clock=clock), SqliteLog(path, clock=wrong)
    with jm.Journal(log) as journal, jm.Journal(other) as astray:
        events = []
        for number in range(40):
            clock.advance(60.0)
            wrong.advance(clock() + error - wrong())
            events.append((astray if number == 10 else journal).append("a.b", {"number": number}))
        assert [event.timestamp for event in events if event.context["number"] != 10] == [
            NOW + 60.0 * (number + 1) for number in range(40) if number != 10
        ]
        clock.advance(later)
        for number in [*range(10), *range(11, 40)]:
            moment = events[number].timestamp
            assert journal.position_at(moment)[0] == number or (number == 11 and journal.position_at(moment)[0] == 10)
            seen = journal.run(as_of(journal.asynchronous, Numbers, moment))
            assert [each for each in seen.numbers if each != 10] == [each for each in range(number + 1) if each != 10]
            assert number in (9, 10) or (10 in seen.numbers) == (number > 10), "the wrong one is where it was appended"
            consumer = jm.JournalConsumer(journal, since=moment, until=journal.bounds().end)
            assert [event.context["number"] for event in consumer if event.context["number"] != 10] == [
                each for each in range(number + 1, 40) if each != 10
            ]
            planned = journal.run(plan(journal.asynchronous, moment))
            gone = planned.before[0]
            if gone == 11 and number == 9:  # the wrong one says that it is old
                gone = 10
            assert gone <= number + 1
            if number < 10 or events[10].timestamp <= moment or error > 10 * 365 * DAY:  # or it is to be kept itself
                assert gone == number + 1


def test_wrong_clock_is_warned_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = str(tmp_path / "journal.db")
    ahead, right = SqliteLog(path, clock=ManualClock(NOW + DAY)), SqliteLog(path, clock=ManualClock(NOW))
    with caplog.at_level(logging.WARNING, "journeyman"):
        for log in (ahead, right):
            blocking.run(log.open())
        for log in (ahead, right, ahead, right, right):
            blocking.run(log.append([draft("a.b")]))
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert "86,400 s" in told[0]
    assert "at offset 1" in told[0]
    falls = blocking.run(right.falls())
    assert [fall.offset for fall in falls] == [1, 3]
    for log in (ahead, right):
        blocking.run(log.aclose())


def test_imported_times_are_kept_without_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = SqliteLog(str(tmp_path / "journal.db"), clock=ManualClock(NOW))
    blocking.run(log.open())
    blocking.run(log.append([draft("a.b")]))
    taken = [Draft("a.b", timestamp=5.0 + at, origin=("w", at + 1)) for at in range(3)]
    assert [event.timestamp for event in blocking.run(log.append(taken))] == [5.0, 6.0, 7.0]
    (event,) = blocking.run(log.append([draft("a.b")]))
    assert event.timestamp == NOW
    assert [fall.carried for fall in blocking.run(log.falls())] == [True]
    assert not caplog.records
    blocking.run(log.aclose())


def test_fall_survives_a_crash_with_its_event(tmp_path: Path) -> None:
    path = str(tmp_path / "journal.db")

    async def test() -> None:
        for seconds in (NOW + DAY, NOW, NOW + 5):
            log = SqliteLog(path, clock=ManualClock(seconds))
            await log.open()
            await log.append([draft("a.b"), draft("a.c")])
            await log.aclose()
        log = SqliteLog(path, clock=ManualClock(NOW + 10))
        await log.open()
        assert [fall.offset for fall in await log.falls()] == [2]
        assert (await log.position_at(NOW + 5))[0] == 4
        await log.aclose()

    asyncio.run(test())
