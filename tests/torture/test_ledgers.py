"""The checker of the torture tells when a promise about locks, schedules or chains is broken."""

from collections.abc import Sequence
from typing import Any

import journeyman as jm
import pytest

from torture.checker import check
from torture.verdicts import Verdicts, Wound

Story = Sequence[tuple[str, dict[str, Any]]]

REQUESTED = {"owner": "p", "capacity": 1, "lease_ms": 2_000, "pid": 7}


def judge(story: Story, wounds: Sequence[Wound] = ()) -> Verdicts:
    """Judge a journal of these events; each is about the lock "door" or the schedule "clock" if it names none."""
    with jm.Journal("memory://") as journal:
        for name, said in story:
            subject = {"lock": "door"} if name.startswith(("lock", "hold")) else {}
            if name.startswith("schedule"):
                subject = {"schedule": "clock"}
            journal.append(name, {**subject, **said})
        events = journal.read(None, 1_000).events
    return check(events, accepted=set(), wounds=wounds)


def hold(token: int, *, capacity: int = 1) -> tuple[str, dict[str, Any]]:
    return "hold.begun", {"token": token, "capacity": capacity, "pid": 7}


def let_go(token: int) -> tuple[str, dict[str, Any]]:
    return "hold.ended", {"token": token}


def submitted(task: str, **said: Any) -> tuple[str, dict[str, Any]]:
    return "task.submitted", {"task": task, "task_name": "step", **said}


def created() -> tuple[str, dict[str, Any]]:
    return "schedule.created", {"trigger": {"type": "interval", "every_ms": 250, "start_ms": 1_000}, "first": 1_000}


def fired(tick: int) -> list[tuple[str, dict[str, Any]]]:
    return [("schedule.fired", {"tick": tick, "task": f"clock@{tick}"}), submitted(f"clock@{tick}")]


LOCKS: dict[str, tuple[Story, str]] = {
    "a process uses a lock that another one holds": (
        [("lock.requested", REQUESTED), ("lock.requested", REQUESTED), hold(0), hold(1)],
        "never granted",
    ),
    "more use a lock than may": (
        [("lock.requested", {**REQUESTED, "capacity": 2})] * 2 + [hold(0), hold(1)],
        "is used by 2 at once",
    ),
    "a lock is used after its release": (
        [("lock.requested", REQUESTED), hold(0), let_go(0), ("lock.released", {"token": 0}), hold(0)],
        "is used after lock.released",
    ),
    "a lock is released for a task that goes on": (
        [submitted("t"), ("lock.requested", REQUESTED), ("lock.released", {"token": 1, "task": "t"})],
        "which has not ended",
    ),
    "a lock stays held for a task": ([("lock.requested", {**REQUESTED, "owner": "linked-t"})], "is still held"),
    "a process that was well loses its lock": (
        [("lock.requested", REQUESTED), hold(0), ("lock.expired", {"token": 0, "last": 0, "reason": "silent"})],
        "process 7 lost door",
    ),
}
SCHEDULES: dict[str, tuple[Story, str]] = {
    "a tick comes twice": ([created(), *fired(1_000), *fired(1_000)], "1250 is its next tick"),
    "a tick is missing": ([created(), *fired(1_000), *fired(1_500)], "1250 is its next tick"),
    "a tick has no task": ([created(), fired(1_000)[0], ("schedule.paused", {})], "has no task right behind it"),
    "a paused schedule ticks": ([created(), ("schedule.paused", {}), *fired(1_000)], "though it is paused"),
    "a task comes without its tick": (
        [created(), submitted("clock@1000", metadata={"schedule": {"name": "clock"}})],
        "comes without its tick",
    ),
    "a tick comes too early": (
        [("schedule.created", {"trigger": {"every_ms": 250}, "first": 32_503_680_000_000}), *fired(32_503_680_000_000)],
        "s early",
    ),
}


def chain(*, link: bool, after: int = 2, previous_result: int = 1) -> list[tuple[str, dict[str, Any]]]:
    """A root that has succeeded and names its link, and perhaps the link; the token of the success is 2."""
    story: list[tuple[str, dict[str, Any]]] = [
        ("worker.joined", {"worker": "w", "pid": 7}),
        submitted("root"),
        ("task.claimed", {"task": "root", "worker": "w"}),
        ("task.succeeded", {"task": "root", "worker": "w", "claim": 2, "result": 1, "next": "root@1"}),
    ]
    return [*story, submitted("root@1", after=after, previous_result=previous_result)] if link else story


CHAINS: dict[str, tuple[Story, str]] = {
    "a link is lost": (chain(link=False), "the link root@1 is missing"),
    "another event comes before the link": (
        [*chain(link=False), submitted("other")],
        "root@1 does not come right behind",
    ),
    "a link is given another result": (chain(link=True, previous_result=5), "root@1 is given 5"),
}


@pytest.mark.parametrize("broken", [*LOCKS, *SCHEDULES, *CHAINS])
def test_checker_finds_that(broken: str) -> None:
    story, says = {**LOCKS, **SCHEDULES, **CHAINS}[broken]
    assert any(says in violation for violation in judge(story).broken)


def test_checker_accepts_that_a_hurt_process_loses_its_lock() -> None:
    story: Story = [
        ("lock.requested", REQUESTED),
        hold(0),
        ("lock.expired", {"token": 0, "last": 0, "reason": "silent"}),
        ("lock.requested", {**REQUESTED, "pid": 8}),
        hold(3),
        let_go(0),
    ]
    found = judge(story, [Wound(7, 0.0)])
    assert found.broken == []
    assert found.counts["locks lost"] == found.counts["late uses of locks"] == 1


def test_checker_refuses_the_link_of_a_former_owner() -> None:
    found = judge([*chain(link=True), submitted("root@1", after=2, previous_result=1)])
    assert found.counts["links"] == found.counts["refused links"] == 1
    assert not [violation for violation in found.violations if "right behind" in violation]


def test_checker_leaves_out_the_ticks_of_a_pause() -> None:
    story = [created(), *fired(1_000), ("schedule.paused", {}), ("schedule.resumed", {"since": 1_600}), *fired(1_750)]
    found = judge(story)
    assert found.counts["ticks left out by a pause"] == 2
    assert not [violation for violation in found.violations if "clock is" in violation]
