"""The alarms of `status --check`, by thresholds."""

from collections.abc import Callable

import pytest
from journeyman.tasks.inspection.alarms import Thresholds, alarms
from journeyman.tasks.inspection.overview import overview
from support.story import Story

NOW = 1_000.0 + 300.0
WELL = Thresholds(dead_max=1, oldest_seconds_max=300.0, workers_min=1)


def well(story: Story) -> None:
    story.joined("w")
    story.submitted("t", at=1_000.0)
    story.submitted("later", at=500.0, due=1_200.0)
    fail(story, "dead")


def fail(story: Story, task: str) -> None:
    story.submitted(task, max_retries=0)
    story.tell("task.failed", task=task, worker="w", claim=story.claimed(task, "w"))


def waits_too_long(story: Story) -> None:
    well(story)
    story.submitted("old", at=999.0, queue="bulk")


def waits_on_purpose(story: Story) -> None:
    waits_too_long(story)
    story.tell("queue.paused", queue_name="bulk")


def too_many_dead(story: Story) -> None:
    well(story)
    fail(story, "dead-2")


def gone(story: Story) -> None:
    well(story)
    story.tell("worker.left", worker="w")


def silent(story: Story) -> None:
    well(story)
    story.claimed("t", "w")


@pytest.mark.parametrize(
    ("tell", "codes", "words"),
    [
        (well, [], ""),
        (waits_too_long, ["oldest"], "a task in queue bulk has been ready for 5 min 1 s, at most 5 min 0 s wanted"),
        (waits_on_purpose, [], ""),
        (too_many_dead, ["dead_letters"], "2 dead letters, at most 1 wanted; the newest: dead-2, dead"),
        (gone, ["workers"], "0 workers are running, at least 1 wanted"),
        (silent, ["silent"], "1 worker silent for longer than the lease, holding 1 task"),
    ],
)
def test_alarm_is_raised_above_its_threshold(tell: Callable[[Story], None], codes: list[str], words: str) -> None:
    story = Story()
    tell(story)
    found = alarms(overview(story.view, NOW, {"w": 1_001.0}), WELL)
    assert [alarm.code for alarm in found] == codes
    assert "".join(alarm.sentence for alarm in found) == words


def test_default_alarms_want_a_worker_and_no_dead_letter() -> None:
    assert (Thresholds().dead_max, Thresholds().workers_min) == (0, 1)
