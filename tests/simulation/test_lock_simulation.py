"""Worlds of locks in virtual time: capacities are kept, tokens rise, dead holders are replaced, bugs are noticed."""

import pytest
from simulation.bugs import check_noticed
from simulation.lock_mutations import LOCK_MUTATIONS
from simulation.lock_world import LockWorld, simulate

SEEDS = 30
SEEDS_MAX = 1_000


def test_many_worlds_of_locks_break_no_invariant() -> None:
    stories = [simulate(seed) for seed in range(SEEDS)]
    assert sum(story.grants for story in stories) > 5 * SEEDS
    assert sum(story.expiries for story in stories) > SEEDS, "holders die, stop or are cut off, and lose their locks"
    assert sum(story.refused for story in stories) > SEEDS // 4, "events cross, and the later one is refused"
    assert sum(story.crashes for story in stories) > SEEDS // 4


def test_seed_gives_the_same_story_of_locks_again() -> None:
    worlds = [LockWorld(3), LockWorld(3)]
    stories = [world.run() for world in worlds]
    assert stories[0] == stories[1]


@pytest.mark.parametrize("bug", sorted(LOCK_MUTATIONS))
def test_bug_in_a_rule_of_locks_is_noticed(bug: str) -> None:
    check_noticed("locks", bug, LOCK_MUTATIONS[bug], simulate, in_order=SEEDS, seeds_max=SEEDS_MAX)
