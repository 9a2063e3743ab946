"""Worlds of chains in virtual time: each link comes once, right behind the success before it, and bugs are noticed."""

import pytest
from simulation.bugs import check_noticed
from simulation.chain_mutations import CHAIN_MUTATIONS
from simulation.chain_world import simulate

SEEDS = 5
SEEDS_MAX = 200


@pytest.mark.timeout(300)  # it works all the time, and a busy machine gives it little
def test_many_worlds_of_chains_break_no_invariant() -> None:
    stories = [simulate(seed) for seed in range(SEEDS)]
    assert sum(story.chains for story in stories) > 10 * SEEDS
    assert sum(story.links for story in stories) > 20 * SEEDS
    assert sum(story.stopped for story in stories) > SEEDS, (
        "some tasks fail or are revoked, and what follows never runs"
    )
    assert sum(story.expiries for story in stories) > SEEDS, "workers are lost in the middle of chains"
    assert any(story.refused for story in stories), "former owners come with their links"


def test_seed_gives_the_same_story_of_chains_again() -> None:
    assert simulate(0) == simulate(0)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("bug", sorted(CHAIN_MUTATIONS))
def test_bug_in_the_rule_of_chains_is_noticed(bug: str) -> None:
    check_noticed("chains", bug, CHAIN_MUTATIONS[bug], simulate, in_order=SEEDS, seeds_max=SEEDS_MAX)
