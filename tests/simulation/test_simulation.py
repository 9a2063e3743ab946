"""Whole systems in virtual time: nothing is lost or done twice, no living session expires, every bug is noticed."""

import pytest
from simulation.bugs import check_noticed, first_noticed
from simulation.mutations import MUTATIONS
from simulation.stage import Violation
from simulation.world import World, simulate

SEEDS = 24
SEEDS_MAX = 2_000
HOURS_MIN = 50


@pytest.mark.timeout(600)  # it works all the time, and a busy machine gives it little
def test_many_worlds_break_no_invariant() -> None:
    stories = [simulate(seed) for seed in range(SEEDS)]
    assert sum(story.seconds for story in stories) / 3_600 > HOURS_MIN
    assert sum(story.tasks for story in stories) > 20 * SEEDS
    assert sum(story.expiries for story in stories) > SEEDS, "workers are lost and their claims taken over"
    assert sum(story.suspects for story in stories) > SEEDS, "tasks that may have ended their workers are taken alone"
    assert sum(story.refused for story in stories) > SEEDS, "events cross, and the later one is refused"
    assert sum(story.begun_anew for story in stories) > SEEDS // 8, "ids come again when they are forgotten"
    assert sum(story.taken_up for story in stories) > SEEDS // 8, "dead letters that are forgotten are requeued"


@pytest.mark.parametrize("seed", [3, 14])
def test_seed_gives_the_same_story_again(seed: int) -> None:
    worlds = [World(seed), World(seed)]
    stories = [world.run() for world in worlds]
    assert stories[0] == stories[1]
    assert worlds[0].log.partitions == worlds[1].log.partitions


def test_violation_names_its_seed_and_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    MUTATIONS["no worker renews its lease"](monkeypatch)
    seed, said = first_noticed("tasks", "no worker renews its lease", simulate, SEEDS_MAX)
    with pytest.raises(Violation) as again:
        simulate(seed)
    assert said == str(again.value)
    assert said.startswith(f"seed {seed}, at ")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("bug", sorted(MUTATIONS))
def test_bug_in_this_rule_is_noticed(bug: str) -> None:
    check_noticed("tasks", bug, MUTATIONS[bug], simulate, in_order=SEEDS, seeds_max=SEEDS_MAX)
