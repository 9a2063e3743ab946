"""Whole worlds in virtual time: nothing is lost, nothing done twice, and nobody alive is expired."""

import pytest
from simulation.world import World, tell

SEEDS = 60


def test_many_worlds_break_no_invariant() -> None:
    stories = [tell(seed) for seed in range(SEEDS)]
    assert sum(story.tasks for story in stories) > 20 * SEEDS
    assert sum(story.expiries for story in stories) > SEEDS, "workers are lost and their claims taken over"
    assert sum(story.refused for story in stories) > SEEDS, "events cross, and the later one is refused"


@pytest.mark.parametrize("seed", [3, 14])
def test_a_seed_tells_the_same_story_again(seed: int) -> None:
    worlds = [World(seed), World(seed)]
    stories = [world.run() for world in worlds]
    assert stories[0] == stories[1]
    assert worlds[0].log.partitions == worlds[1].log.partitions
