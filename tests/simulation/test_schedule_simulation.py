"""Worlds of schedules in virtual time: one run a tick, none missing, pauses are kept, bugs are noticed."""

import pytest
from simulation.bugs import check_noticed
from simulation.schedule_mutations import SCHEDULE_MUTATIONS
from simulation.schedule_world import simulate

SEEDS = 14
SEEDS_MAX = 300


def test_many_worlds_of_schedules_break_no_invariant() -> None:
    stories = [simulate(seed) for seed in range(SEEDS)]
    assert sum(story.fired for story in stories) > 20 * SEEDS
    assert sum(story.skipped for story in stories) > SEEDS, "runs that would overlap are left out"
    assert sum(story.conflicts for story in stories) > 5 * SEEDS, "several processes fire the same tick"
    assert sum(story.crashes for story in stories) > SEEDS
    assert sum(story.pauses for story in stories) > SEEDS
    assert sum(story.missed for story in stories) > SEEDS // 2, "no process is there in time, and the policy says so"


def test_seed_gives_the_same_story_of_schedules_again() -> None:
    assert simulate(3) == simulate(3)


@pytest.mark.parametrize("bug", sorted(SCHEDULE_MUTATIONS))
def test_bug_in_a_rule_of_schedules_is_noticed(bug: str) -> None:
    check_noticed("schedules", bug, SCHEDULE_MUTATIONS[bug], simulate, in_order=SEEDS, seeds_max=SEEDS_MAX)
