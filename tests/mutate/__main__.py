"""`python -m mutate`: plant a seeded sample of small bugs, one at a time, and list those that no test notices."""

import argparse
import random
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed

from .concern import CONCERNS, Concern, modules_of
from .judge import NOT_SWAPPED, ROOT, Verdict, accepted, judge
from .mutants import Mutant, mutants_of
from .warm import Way, warm_verdicts


def all_mutants(only: str = "") -> list[tuple[Mutant, Concern]]:
    """Each mutant of the modules whose path contains `only`, with what concerns it."""
    found = [
        (mutant, concern)
        for concern in CONCERNS
        for path in modules_of(concern, ROOT)
        if only in str(path.relative_to(ROOT))
        for mutant in mutants_of(path, ROOT)
    ]
    known = accepted()
    return [(mutant, concern) for mutant, concern in found if mutant.name not in known]


def judged(mutants: list[tuple[Mutant, Concern]], way: Way) -> Iterator[tuple[Mutant, Verdict]]:
    """Judge each in a fork of one process and, if it survives there, in a process of its own; yield the verdicts."""
    again = []
    for mutant, concern, verdict in warm_verdicts(mutants, way):
        if verdict.noticed_by == NOT_SWAPPED or not (way.quick or verdict.noticed_by):
            again.append((mutant, concern))
        else:
            yield mutant, verdict
    with ThreadPoolExecutor(way.jobs) as pool:
        running = {pool.submit(judge, mutant, concern): mutant for mutant, concern in again}
        for done in as_completed(running):
            yield running[done], done.result()


def main() -> int:
    """The exit status is 1 if a mutant survives, 2 if there is none such."""
    parser = argparse.ArgumentParser(prog="python -m mutate", description=__doc__)
    parser.add_argument("--sample", type=int, default=20, help="how many bugs (20); 0 for all")
    parser.add_argument("--seed", type=int, default=0, help="which sample (0)")
    parser.add_argument("--only", default="", help="of modules whose path contains this")
    parser.add_argument("--name", default="", help="whose name contains this")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (2)")
    parser.add_argument("--quick", action="store_true", help="by quick tests alone: more seem to survive than do")
    parser.add_argument("--list", action="store_true", help="name them and run nothing")
    chosen = parser.parse_args()
    mutants = [each for each in all_mutants(chosen.only) if chosen.name in each[0].name]
    if not mutants:
        print(f"there is no bug of that name in a module whose path contains {chosen.only!r}", file=sys.stderr)
        return 2
    if chosen.sample and chosen.sample < len(mutants):
        mutants = random.Random(chosen.seed).sample(mutants, chosen.sample)
    if chosen.list:
        print("\n".join(mutant.name for mutant, _ in mutants))
        return 0
    survivors = 0
    for mutant, verdict in judged(mutants, Way(chosen.jobs, chosen.quick)):
        survivors += not verdict.noticed_by
        said = f"noticed by {verdict.noticed_by}" if verdict.noticed_by else f"SURVIVES (line {mutant.line})"
        print(f"{mutant.name}\n    {said}, {verdict.seconds:.0f} s", flush=True)
    print(f"{len(mutants)} mutants, {survivors} survive")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
