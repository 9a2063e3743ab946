"""Whole systems in virtual time: nothing is lost or done twice, no living session expires, every bug is noticed."""

import pytest
from simulation.mutations import MUTATIONS
from simulation.stage import Violation
from simulation.world import World, simulate

SEEDS = 24
SEEDS_MAX = 2_000
HOURS_MIN = 50
# Where bugs that need a rare coincidence were noticed last: only where to look first, all other seeds are tried after.
LOOK_FIRST = {
    "a claim needs no session": 14,
    "a drain claims on": 22,
    "a drain does not wait for what runs": 3,
    "a lane does not ask whether another has a suspect": 4,
    "a queue is forgotten with what waits in it": 7,
    "an ended task is requeued like a forgotten one": 3,
    "an expiry needs not name the last event": 8,
    "ids of ended tasks are refused for ever": 8,
    "a suspect in hand does not count": 4,
    "no reader learns of a requeued dead letter": 39,
    "an idle worker observes no sessions": 5,
    "one probe at the end of the lease is enough": 20,
    "silence counts while the journal is away": 20,
    "suspects are let in together": 4,
    "suspects that were set aside are lost": 4,
    "the share of the dead is left to them": 157,
    "leaving uses an attempt": 22,
    "the claims of those who leave do not return": 22,
    "what has ended as the drain ends is not written": 1,
    "work is begun however old the lease": 7,
    "working time stops after the first outage": 22,
}


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
    seed, said = first_noticed("no worker renews its lease")
    with pytest.raises(Violation) as again:
        simulate(seed)
    assert said == str(again.value)
    assert said.startswith(f"seed {seed}, at ")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("bug", sorted(MUTATIONS))
def test_bug_in_this_rule_is_noticed(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTATIONS[bug](monkeypatch)
    seed, _ = first_noticed(bug)
    monkeypatch.undo()
    if seed >= SEEDS:  # the other seeds are run by the test of many worlds
        simulate(seed)  # and without the bug that world is in order


def first_noticed(bug: str) -> tuple[int, str]:
    """The first seed in whose world the bug is noticed, and what is said."""
    for seed in (LOOK_FIRST.get(bug, 0), *range(SEEDS_MAX)):
        try:
            simulate(seed)
        except (Violation, AssertionError) as error:
            return seed, str(error)
    pytest.fail(f"not noticed in {SEEDS_MAX:,} worlds")
