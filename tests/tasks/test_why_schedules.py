"""Schedules in the overview and in `why`: what is next, paused, overdue and missed, and why a tick has no task."""

from typing import Any

import pytest
from journeyman.tasks.inspection.alarms import Thresholds, alarms
from journeyman.tasks.inspection.late_schedules import lateness
from journeyman.tasks.inspection.overview import overview
from journeyman.tasks.inspection.why import explain
from journeyman.tasks.limits import SCHEDULE_MISSED_COUNTED_MAX
from journeyman.tasks.state.schedules import Cron, Interval, Policy
from journeyman.tasks.state.ticks import tick_id, tick_text
from support.story import Story

FIRST = 1_010_000  # ms
MINUTE = 60_000


@pytest.fixture
def story() -> Story:
    """A schedule that ticks each minute from 1,010 s on, with a grace of a minute."""
    story = Story()
    created(story, "report")
    return story


def created(story: Story, name: str, misfire: Any = "run_once", every: int = MINUTE) -> None:
    policy = Policy(misfire=misfire, grace_ms=MINUTE)
    story.tell("schedule.created", schedule=name, trigger=Interval(every, FIRST), policy=policy, first=FIRST)


def fired(story: Story, tick: int) -> None:
    task = tick_id("report", tick)
    story.tell("schedule.fired", tick / 1_000, schedule="report", tick=tick, task=task)
    story.submitted(task, tick / 1_000, task_name="report")


def codes(story: Story, asked: str, now: float) -> list[str]:
    return [finding.code for finding in explain(story.view, asked, now)]


def said(story: Story, asked: str, now: float) -> str:
    return " ".join(finding.sentence for finding in explain(story.view, asked, now))


def test_overview_shows_the_next_tick(story: Story) -> None:
    fired(story, FIRST)
    (line,) = overview(story.view, 1_020.0).schedules
    assert (line.schedule, line.next_tick, line.overdue_seconds, line.missed) == ("report", FIRST + MINUTE, None, 0)
    assert (line.fired, line.last_task) == (1, tick_id("report", FIRST))


def test_tick_within_its_grace_is_overdue_and_not_missed(story: Story) -> None:
    (line,) = overview(story.view, FIRST / 1_000 + 30).schedules
    assert (line.next_tick, line.overdue_seconds, line.missed) == (FIRST, 30.0, 0)
    assert not [
        alarm for alarm in alarms(overview(story.view, FIRST / 1_000 + 30), Thresholds()) if "ticks" in alarm.sentence
    ]


@pytest.mark.parametrize(
    ("misfire", "becomes"), [("run_once", "the newest one"), ("skip", "will not run"), ("run_all", "each will run")]
)
def test_missed_ticks_are_an_alarm_that_says_what_becomes_of_them(misfire: str, becomes: str) -> None:
    story = Story()
    created(story, "report", misfire)
    seen = overview(story.view, FIRST / 1_000 + 200)
    (line,) = seen.schedules
    assert line.missed == 3
    (alarm,) = [each for each in alarms(seen, Thresholds(workers_min=0)) if each.code == "schedule"]
    assert alarm.sentence == lateness(line)
    assert "3 ticks of the schedule report are over" in alarm.sentence
    assert becomes in alarm.sentence
    assert "journeyman scheduler" in alarm.sentence


def test_paused_schedule_has_no_next_tick_and_misses_none(story: Story) -> None:
    story.tell("schedule.paused", 1_005.0, schedule="report")
    (line,) = overview(story.view, 2_000.0).schedules
    assert (line.paused_since, line.next_tick, line.missed) == (1_005.0, None, 0)
    assert "journeyman schedule resume report" in said(story, "report", 2_000.0)


def test_count_of_missed_ticks_is_bounded() -> None:
    story = Story()
    created(story, "report", every=100)
    (line,) = overview(story.view, 1_000_000.0).schedules
    assert line.missed == SCHEDULE_MISSED_COUNTED_MAX
    assert lateness(line).startswith("at least 1,000 ticks")


def test_schedule_of_an_unknown_time_zone_has_no_next_tick() -> None:
    story = Story()
    trigger = Cron({"hour": "3"}, "Mars/Olympus")
    story.tell("schedule.created", schedule="report", trigger=trigger, first=FIRST)
    (line,) = overview(story.view, 2_000.0).schedules
    assert (line.next_tick, line.missed) == (None, 0)


def test_why_explains_a_schedule_by_its_name(story: Story) -> None:
    assert codes(story, "report", 1_020.0) == ["schedule"]
    assert "every minute" in said(story, "report", 1_020.0)
    assert codes(story, "report", 2_000.0) == ["schedule", "schedule_late"]


def test_why_names_the_schedule_of_a_task(story: Story) -> None:
    fired(story, FIRST)
    assert "of_schedule" in codes(story, tick_id("report", FIRST), 1_020.0)
    assert f"Its next tick is {tick_text(FIRST + MINUTE)}" in said(story, tick_id("report", FIRST), 1_020.0)


@pytest.mark.parametrize(
    ("tick", "now", "code"),
    [
        (FIRST + 3 * MINUTE, 1_020.0, "tick_to_come"),
        (FIRST, 1_020.0, "tick_left_out"),
        (FIRST + 2 * MINUTE, 1_020.0 + 130, "tick_waits"),
        (FIRST + 1_000, 1_020.0, "no_tick"),
        (FIRST - MINUTE, 1_020.0, "no_tick"),
    ],
)
def test_why_explains_a_tick_without_a_task(story: Story, tick: int, now: float, code: str) -> None:
    fired(story, FIRST + MINUTE)  # as by "run_once": the one before was left out
    assert codes(story, tick_id("report", tick), now)[0] == code
