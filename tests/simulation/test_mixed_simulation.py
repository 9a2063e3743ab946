"""Worlds of linked locks and of schedules that workers fire: a lock lasts as long as its task, a tick has one run."""

import pytest
from simulation.bugs import check_noticed
from simulation.mixed_mutations import MIXED_MUTATIONS
from simulation.mixed_world import simulate

SEEDS = 10
SEEDS_MAX = 400


@pytest.mark.timeout(300)  # it works all the time, and a busy machine gives it little
def test_many_mixed_worlds_break_no_invariant() -> None:
    stories = [simulate(seed) for seed in range(SEEDS)]
    assert sum(story.releases for story in stories) > 4 * SEEDS, "tasks end, and their locks with them"
    assert sum(story.together for story in stories) > 2 * SEEDS, "in one append, where both share a partition"
    assert sum(story.fired for story in stories) > 4 * SEEDS
    assert sum(story.skipped for story in stories) > SEEDS // 2, "runs that would overlap are left out"
    assert sum(story.conflicts for story in stories) > 5 * SEEDS, "several workers fire the same tick"
    assert sum(story.expiries for story in stories) > SEEDS, "workers are lost while their tasks have locks"


def test_seed_gives_the_same_mixed_story_again() -> None:
    assert simulate(0) == simulate(0)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("bug", sorted(MIXED_MUTATIONS))
def test_bug_in_locks_or_ticks_of_workers_is_noticed(bug: str) -> None:
    check_noticed("mixed", bug, MIXED_MUTATIONS[bug], simulate, in_order=SEEDS, seeds_max=SEEDS_MAX)
