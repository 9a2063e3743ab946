"""`python -m simulation --seeds 1000`: simulate so many seeds of each kind of world; stop at the first violation."""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest
from simulation import chain_world, lock_world, mixed_world, schedule_world, world
from simulation.bugs import note, soon_noticed
from simulation.chain_mutations import CHAIN_MUTATIONS
from simulation.lock_mutations import LOCK_MUTATIONS
from simulation.loop_mutations import Plant
from simulation.mixed_mutations import MIXED_MUTATIONS
from simulation.mutations import MUTATIONS
from simulation.schedule_mutations import SCHEDULE_MUTATIONS
from simulation.stage import Violation


class Kind(NamedTuple):
    """A kind of world: how one is simulated, and the bugs that must be noticed in it; one of `share` seeds is run."""

    simulate: Callable[[int], Any]
    bugs: Mapping[str, Plant]
    share: int


KINDS = {
    "tasks": Kind(world.simulate, MUTATIONS, 1),
    "locks": Kind(lock_world.simulate, LOCK_MUTATIONS, 2),
    "schedules": Kind(schedule_world.simulate, SCHEDULE_MUTATIONS, 2),
    "chains": Kind(chain_world.simulate, CHAIN_MUTATIONS, 4),
    "mixed": Kind(mixed_world.simulate, MIXED_MUTATIONS, 4),
}


def plant(name: str, seeds: int, noting: bool) -> int:
    """Plant one bug after the other and say in which world it is noticed soon; return how many are in none."""
    kind, noticed = KINDS[name], dict[str, int]()
    for bug, planted in kind.bugs.items():
        with pytest.MonkeyPatch.context() as patch:
            planted(patch)
            seed = soon_noticed(kind.simulate, seeds)
        if seed is not None:
            noticed[bug] = seed
        print(f"{bug}: {'NOT NOTICED' if seed is None else f'noticed in world {seed}'}", flush=True)
    if noting:
        note(name, noticed)
    return len(kind.bugs) - len(noticed)


def run(name: str, first: int, seeds: int) -> None:
    """Simulate the worlds and print what has happened in them, summed up."""
    kind, begun = KINDS[name], time.monotonic()
    sums, worlds = Counter[str](), -(-seeds // kind.share)
    for seed in range(first, first + worlds):
        try:
            story = kind.simulate(seed)
        except Violation as violation:
            again = f"python -m simulation --world {name} --seeds 1 --first {seed}"
            raise Violation(f"{violation}\nagain: {again}") from None
        sums.update({what: count for what, count in story._asdict().items() if what != "seed"})
    told = ", ".join(f"{count:,.0f} {what.replace('_', ' ')}" for what, count in sums.items())
    print(f"{worlds:,} worlds of {name} in {time.monotonic() - begun:.0f} s: {told}; no invariant broken", flush=True)


def main() -> int:
    """The exit status is 1 if an invariant was broken; the sentence then names the world and the seed."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--world", choices=("all", *KINDS), default="all", help="the kind of world (all)")
    parser.add_argument("--seeds", type=int, default=1_000, help="how many seeds; of costly worlds fewer (1,000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--bugs", action="store_true", help="plant each bug of the list instead, until it is noticed")
    parser.add_argument("--note", action="store_true", help="with --bugs: write where each was noticed, for the tests")
    chosen = parser.parse_args()
    kinds = list(KINDS) if chosen.world == "all" else [chosen.world]
    if chosen.bugs:
        return 1 if sum(plant(name, chosen.seeds, chosen.note) for name in kinds) else 0
    try:
        for name in kinds:
            run(name, chosen.first, chosen.seeds)
    except Violation as violation:
        print(violation, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
