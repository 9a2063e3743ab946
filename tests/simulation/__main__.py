"""`python -m simulation --seeds 1000`: simulate so many seeds, and stop at the first violation."""

import argparse
import sys
import time

import pytest
from simulation.mutations import MUTATIONS
from simulation.referee import Violation
from simulation.world import simulate


def plant(seeds: int) -> int:
    """Plant one bug after the other and say in which world it was noticed; 1 if one was not."""
    missed = 0
    for bug, planted in MUTATIONS.items():
        with pytest.MonkeyPatch.context() as patch:
            planted(patch)
            seed = next((seed for seed in range(seeds) if _is_noticed(seed)), None)
        missed += seed is None
        print(f"{bug}: {'NOT NOTICED' if seed is None else f'noticed in world {seed}'}", flush=True)
    return 1 if missed else 0


def _is_noticed(seed: int) -> bool:
    try:
        simulate(seed)
    except (Violation, AssertionError):
        return True
    return False


def main() -> int:
    """The exit status is 1 if an invariant was broken; the sentence then names the seed."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000, help="how many worlds (1,000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--bugs", action="store_true", help="plant each bug of the list instead, until it is noticed")
    chosen = parser.parse_args()
    if chosen.bugs:
        return plant(chosen.seeds)
    begun = time.monotonic()
    seconds = tasks = records = refused = expiries = 0.0
    for seed in range(chosen.first, chosen.first + chosen.seeds):
        try:
            story = simulate(seed)
        except Violation as violation:
            print(f"{violation}\nagain: python -m simulation --seeds 1 --first {seed}", file=sys.stderr)
            return 1
        seconds, tasks, records = seconds + story.seconds, tasks + story.tasks, records + story.records
        refused, expiries = refused + story.refused, expiries + story.expiries
    print(
        f"{chosen.seeds:,} worlds, {seconds / 3_600:,.0f} simulated hours in {time.monotonic() - begun:.0f} s: "
        f"{tasks:,.0f} tasks, {records:,.0f} events, {refused:,.0f} of them refused, {expiries:,.0f} sessions expired; "
        "no invariant broken"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
