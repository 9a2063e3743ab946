"""A short form of `make torture`, on a file: every promise is kept, and the checker can tell when one is not."""

from pathlib import Path

import journeyman as jm

from torture.checker import check
from torture.harness import Plan, torture


def test_ten_seconds_of_torture_break_no_promise(tmp_path: Path) -> None:
    plan = Plan(f"sqlite:///{tmp_path}/torture.db", tasks=400, workers=3, seconds=10.0, every=1.5, seed=7)
    verdicts, hurt, _ = torture(plan)
    assert verdicts.violations == []
    assert verdicts.counts["tasks"] >= 400
    assert sum(hurt.counts.values()) >= 3


def test_the_checker_finds_what_is_lost_doubled_or_left_behind() -> None:
    with jm.Journal("memory://") as journal:
        journal.append("worker.joined", {"worker": "w", "pid": 1}, key="w")
        for task in ("done", "left", "twice"):
            journal.append("task.submitted", {"task": task, "task_name": "work"}, key=task)
        for task in ("done", "twice"):
            claim = journal.append("task.claimed", {"task": task, "worker": "w"}, key=task).offset
            journal.append("task.succeeded", {"task": task, "worker": "w", "claim": claim}, key=task)
        journal.append("task.succeeded", {"task": "twice", "worker": "w", "claim": claim}, key="twice")
        events = journal.read().events
    found = check(events, accepted={"done", "left", "twice", "lost"}, hurt_pids=set())
    assert found.counts["refused late outcomes"] == 1
    assert len(found.violations) == 2
    assert "lost: lost was accepted" in found.violations[0]
    assert "work left is ready, not succeeded" in found.violations[1]
