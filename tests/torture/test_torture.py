"""A short form of `make torture`, on a file: every promise is kept, and the checkers can tell when one is not.

The promises about time are left to `make torture`: a busy machine breaks them by itself.
"""

from itertools import count
from pathlib import Path

import journeyman as jm
import msgspec
import pytest

from torture.brokers import Pauses, judge
from torture.checker import check
from torture.harness import Plan, torture
from torture.outages import Outage
from torture.services import WAYS, torture_service
from torture.verdicts import Verdicts, Wound


def test_ten_seconds_of_torture_break_no_promise(tmp_path: Path) -> None:
    plan = Plan(f"sqlite:///{tmp_path}/torture.db", tasks=400, workers=3, seconds=10.0, every=1.5, seed=7)
    verdicts, hurt, _ = torture(plan)
    assert verdicts.violations == []
    assert verdicts.counts["tasks"] >= 400
    assert sum(hurt.counts.values()) >= 3
    for part in ("holds", "linked locks released", "links", "ticks"):
        assert verdicts.counts[part] > 0, f"the work has no {part}"


def test_torture_of_a_service_breaks_no_promise() -> None:
    verdicts, hurt, _ = torture_service(150, 2, 14.0, 11, lambda _: None, every=4.0)
    assert verdicts.violations == []
    assert verdicts.counts["tasks"] >= 150
    assert sum(hurt.counts[f"service {way}"] for way in WAYS) >= 2


def test_checker_finds_lost_doubled_and_leftover_tasks() -> None:
    with jm.Journal("memory://") as journal:
        journal.append("worker.joined", {"worker": "w", "pid": 1}, key="w")
        for task in ("done", "left", "twice"):
            journal.append("task.submitted", {"task": task, "task_name": "work"}, key=task)
        for task in ("done", "twice"):
            claim = journal.append("task.claimed", {"task": task, "worker": "w"}, key=task).offset
            journal.append("task.succeeded", {"task": task, "worker": "w", "claim": claim}, key=task)
        journal.append("task.succeeded", {"task": "twice", "worker": "w", "claim": claim}, key="twice")
        events = journal.read().events
    found = check(events, accepted={"done", "left", "twice", "lost"}, wounds=[])
    assert found.counts["refused late outcomes"] == 1
    assert len(found.violations) == 2
    assert "lost: lost was accepted" in found.violations[0]
    assert "work left is ready, not succeeded" in found.violations[1]


@pytest.mark.parametrize(
    ("begun", "ended", "excused"), [(-3.0, -1.0, True), (-60.0, -50.0, False), (60.0, 90.0, False)]
)
def test_only_what_hurt_a_worker_in_that_moment_excuses_its_expiry(begun: float, ended: float, excused: bool) -> None:
    with jm.Journal("memory://") as journal:
        last = journal.append("worker.joined", {"worker": "w", "pid": 7}, key="w")
        journal.append("worker.joined", {"worker": "v", "pid": 8}, key="v")
        journal.append("worker.expired", {"worker": "w", "last": last.offset, "by": "v"}, key="w")
        events = journal.read().events
    at = last.timestamp
    wounds = [Wound(8, at - 3.0), Wound(7, at + begun + 1.0, at + ended + 1.0)]
    found = check(events, accepted=set(), wounds=wounds)
    assert found.counts["expired sessions"] == 1
    assert (found.untimely == []) == excused


def test_probe_silent_to_the_end_has_paused() -> None:
    seconds = count()
    pauses = Pauses(lambda: float(next(seconds)))
    for probe in ("raw write", "our write", "raw read", "our read"):
        pauses.success(probe)
    for _ in range(30):
        pauses.success("raw write")
        pauses.success("raw read")
        pauses.success("our read")
    pauses.stop()
    verdicts = Verdicts()
    judge(pauses, verdicts)
    assert verdicts.violations == []
    assert len(verdicts.untimely) == 1
    assert verdicts.untimely[0].startswith("our write paused")


def test_broken_probe_is_a_violation() -> None:
    pauses = Pauses(lambda: 0.0)
    for probe in ("raw write", "our write", "raw read", "our read"):
        pauses.success(probe)
    pauses.broken.append("a probe ended before its time: OSError()")
    verdicts = Verdicts()
    judge(pauses, verdicts)
    assert verdicts.violations == pauses.broken


@pytest.mark.parametrize(("retries", "ending"), [(0, "failed"), (1, "ready")])
def test_task_whose_worker_dies_in_the_last_attempt_has_failed(retries: int, ending: str) -> None:
    with jm.Journal("memory://") as journal:
        journal.append("task.submitted", {"task": "t", "task_name": "broken", "max_retries": retries}, key="t")
        journal.append("worker.joined", {"worker": "w", "pid": 7}, key="w")
        last = journal.append("task.claimed", {"task": "t", "worker": "w"}, key="t")
        journal.append("worker.expired", {"worker": "w", "last": last.offset, "by": "v"}, key="w")
        events = journal.read().events
    found = check(events, accepted={"t"}, wounds=[Wound(7, last.timestamp)])
    assert found.violations == ([] if ending == "failed" else ["broken t is ready, not failed"])


@pytest.mark.parametrize(("away", "kept"), [(0.0, False), (8.0, True)])
def test_checker_bounds_takeover_by_lease_and_outage(away: float, kept: bool) -> None:
    with jm.Journal("memory://") as journal:
        journal.append("worker.joined", {"worker": "v", "pid": 8, "lease_ms": 2_000}, key="v")
        journal.append("worker.joined", {"worker": "w", "pid": 7, "lease_ms": 2_000}, key="w")
        journal.append("task.submitted", {"task": "t", "task_name": "work"}, key="t")
        last = journal.append("task.claimed", {"task": "t", "worker": "w"}, key="t")
        at = last.timestamp
        journal.append("worker.expired", {"worker": "w", "last": last.offset, "by": "v"}, key="w")
        *before, expiry = journal.read().events
    events = [*before, msgspec.structs.replace(expiry, timestamp=at + 10.0)]
    found = check(events, {"t"}, [Wound(7, at)], [Outage(at + 1.0, at + 1.0 + away)])
    late = [violation for violation in found.untimely if "journal was away" in violation]
    assert (late == []) == kept
    assert found.overtime_seconds == [pytest.approx(8.0 - away)]
