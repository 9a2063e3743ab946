"""Planted bugs: in which world each is noticed. `noticed.json` says where that was last, so that a search begins there.

`python -m simulation --bugs` searches anew, prints what it finds and, with `--note`, writes that file.
"""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from .loop_mutations import Plant
from .stage import Violation

NOTICED: Final = Path(__file__).with_name("noticed.json")
SEEDS_COMPARED: Final = 40
LITTLE_SECONDS: Final = 0.2


def noticed_before() -> dict[str, dict[str, int]]:
    """The seeds by kind of world and by bug; a bug that is not there is searched for from seed 0 on."""
    found: dict[str, dict[str, int]] = json.loads(NOTICED.read_text())
    return found


def note(kind: str, seeds: Mapping[str, int]) -> None:
    """Write the seeds at which a kind's bugs were noticed; those of other kinds stay."""
    found = noticed_before() | {kind: dict(sorted(seeds.items()))}
    NOTICED.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def what_is_noticed(simulate: Callable[[int], Any], seed: int) -> str | None:
    """What is said about the bug in the world of this seed, or None."""
    try:
        simulate(seed)
    except (Violation, AssertionError) as error:
        return str(error)
    return None


def soon_noticed(simulate: Callable[[int], Any], seeds_max: int) -> int | None:
    """The seed in whose world a bug is noticed with little work, or None where it is noticed in none.

    Some bugs let their world go on for very long; so among the first seeds the one that costs least is taken.
    """
    costs = dict[int, float]()
    for seed in range(seeds_max):
        if costs and seed >= SEEDS_COMPARED:
            break
        begun = time.process_time()
        if what_is_noticed(simulate, seed) is None:
            continue
        costs[seed] = time.process_time() - begun
        if costs[seed] < LITTLE_SECONDS:
            return seed
    return min(costs, key=costs.__getitem__, default=None)


def first_noticed(kind: str, bug: str, simulate: Callable[[int], Any], seeds_max: int) -> tuple[int, str]:
    """The seed in whose world a bug is noticed, and what is said: that of last time, else the first of all."""
    for seed in (noticed_before().get(kind, {}).get(bug, 0), *range(seeds_max)):
        said = what_is_noticed(simulate, seed)
        if said is not None:
            return seed, said
    pytest.fail(f"not noticed in {seeds_max:,} worlds")


def check_noticed(
    kind: str, bug: str, planted: Plant, simulate: Callable[[int], Any], *, in_order: int, seeds_max: int
) -> None:
    """Plant a bug and fail if no world notices it; without the bug that world is in order.

    The worlds of the seeds below `in_order` are not run a second time: the test of many worlds runs them.
    """
    with pytest.MonkeyPatch.context() as patch:
        planted(patch)
        seed, _ = first_noticed(kind, bug, simulate, seeds_max)
    if seed >= in_order:
        simulate(seed)
