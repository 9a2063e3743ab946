"""`make torture`: two minutes of killed, stopped and terminated workers, on a file, over HTTP and on Kafka."""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from torture.harness import Hurt, Plan, torture
from torture.verdicts import Verdicts


def main() -> int:
    """Run the torture as asked for and say what came of it; the exit status says whether every promise was kept."""
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    parser.add_argument("--journal", choices=("sqlite", "http", "kafka", "all"), default="all")
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the report here as well")
    given = parser.parse_args()
    reports: dict[str, object] = {}
    kept = True
    if given.journal in ("sqlite", "all"):
        with tempfile.TemporaryDirectory() as directory:
            plan = Plan(f"sqlite:///{directory}/torture.db", given.tasks, given.workers, given.seconds, seed=given.seed)
            verdicts, hurt, seconds = torture(plan, _say)
        reports["sqlite"] = report("sqlite", verdicts, hurt, seconds)
        kept = kept and not verdicts.broken
    if given.journal in ("http", "all"):
        from torture.services import torture_service

        verdicts, hurt, seconds = torture_service(given.tasks, given.workers, given.seconds, given.seed, _say)
        reports["http"] = report("http", verdicts, hurt, seconds)
        kept = kept and not verdicts.broken
    if given.journal in ("kafka", "all"):
        from torture.brokers import torture_kafka

        verdicts, hurt, seconds, pauses = torture_kafka(given.tasks, given.workers, given.seconds, given.seed, _say)
        reports["kafka"] = {**report("kafka", verdicts, hurt, seconds), "pauses_seconds": pauses}
        kept = kept and not verdicts.broken
    if given.json:
        given.json.write_text(json.dumps(reports, indent=2))
    return 0 if kept else 1


def report(journal: str, verdicts: Verdicts, hurt: Hurt, seconds: float) -> dict[str, object]:
    """Print the figures, and return them."""
    print(f"\n{journal}: {seconds:.0f} s, hurt: {dict(hurt.counts)}")
    for name, count in sorted(verdicts.counts.items()):
        print(f"  {name:24} {count:>10,}")
    if verdicts.takeover_seconds:
        print(f"  takeover after silence   {statistics.median(verdicts.takeover_seconds):>10.2f} s (median)")
    if verdicts.overtime_seconds:
        print(f"  longest beyond its bound {max(verdicts.overtime_seconds):>10.2f} s (lease and outages; at most 1 s)")
    if verdicts.tick_seconds_late:
        print(f"  latest tick              {max(verdicts.tick_seconds_late):>10.2f} s")
    if lost := [loss.silent_until - loss.silent_from for loss in verdicts.losses]:
        print(f"  lock lost after silence  {statistics.median(lost):>10.2f} s (median)")
    for violation in verdicts.broken[:20]:
        print(f"  VIOLATED: {violation}")
    print("  every promise was kept" if not verdicts.broken else f"  {len(verdicts.broken)} violations")
    return {
        "seconds": seconds,
        "hurt": dict(hurt.counts),
        "counts": dict(verdicts.counts),
        "takeover_seconds": verdicts.takeover_seconds,
        "overtime_seconds": verdicts.overtime_seconds,
        "violations": verdicts.broken,
    }


def _say(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{line}\033[K", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
