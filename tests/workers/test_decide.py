"""The worker's deciders, rule by rule."""

from typing import Any

import pytest
from journeyman.tasks import TaskView
from journeyman.tasks.failure_detector import FailureDetector
from journeyman.tasks.limits import LEASE_RENEWAL_FRACTION
from journeyman.tasks.state import names
from journeyman.workers.scheduling.decide import (
    Beat,
    Claim,
    Command,
    DueTicks,
    Expire,
    Fire,
    Join,
    Lapse,
    OwnSession,
    Situation,
    decide,
)
from journeyman.workers.scheduling.ready_queue import ReadyTasks
from support.ledger import Ledger

ME, OTHER = "me", "other"
LEASE = 3.0
RENEWAL = LEASE * LEASE_RENEWAL_FRACTION


class Desk:
    """A view, what is ready, the failure detector, and a situation that tests change."""

    def __init__(self, partitions: int = 1, *, joined: bool = True) -> None:
        self.ready = ReadyTasks()
        self.view = TaskView(on_ready=self.ready.add)
        self.logs = [Ledger(self.view, partition) for partition in range(partitions)]
        self.log = self.logs[0]
        self.detector = FailureDetector(LEASE)
        self.ready.set_workers(dict.fromkeys(range(partitions), ME), {})
        self.monotonic = 100.0
        self.sessions = {partition: OwnSession(ME, 100.0) for partition in range(partitions)}
        if joined:
            for log in self.logs:
                log.join(ME, int(LEASE * 1_000))

    def decide(self, free: int = 10, **changes: Any) -> list[Command]:
        situation = Situation(5_000.0, self.monotonic, LEASE, self.sessions)._replace(**changes)
        return decide(self.view, [(self.ready, free)], self.detector, situation)


def claimed(commands: list[Command]) -> list[str]:
    return [command.task.id for command in commands if isinstance(command, Claim)]


def test_idle_worker_decides_on_nothing() -> None:
    assert Desk().decide() == []


# -- suspects --------------------------------------------------------------------------------------------------------


def test_worker_holds_one_suspect_over_all_lanes_and_partitions() -> None:
    desk = Desk(partitions=2)
    for log, tasks in zip(desk.logs, (["a", "b", "c"], ["d", "e"]), strict=True):
        for task in tasks:
            log.submit(task)
        for dead in ("first", "second"):
            log.join(dead)
            for task in tasks:
                log.claim(task, dead)
            log.expire(dead, by=ME)
    desk.log.submit("innocent")
    assert len(desk.view.suspects) == 5

    done: list[str] = []
    while suspects := [task for task in claimed(desk.decide()) if task != "innocent"]:
        (suspect,) = suspects
        log = desk.logs[desk.view.live[suspect].partition]
        claim = log.claim(suspect, ME)
        other = ReadyTasks()
        other.set_workers(dict.fromkeys(range(2), ME), {})
        for live in desk.view.live.values():
            other.add(live)
        offers = [(desk.ready, 10), (other, 10)]
        situation = Situation(5_000.0, desk.monotonic, LEASE, desk.sessions)
        taken = claimed(decide(desk.view, offers, desk.detector, situation))
        assert set(taken) <= {"innocent"}, "nor does another lane let one in"
        log.write(names.SUCCEEDED, task=suspect, worker=ME, claim=claim)
        done.append(suspect)
    assert sorted(done) == ["a", "b", "c", "d", "e"]
    assert not desk.view.suspects


def suspects_of(log: Ledger, *tasks: str) -> None:
    """Submit tasks, and have two workers die that hold them all."""
    for task in tasks:
        log.submit(task)
    for dead in ("first", "second"):
        log.join(dead)
        for task in tasks:
            log.claim(task, dead)
        log.expire(dead, by=ME)


def test_returned_suspect_is_claimed_again_by_the_same_worker() -> None:
    desk = Desk()
    suspects_of(desk.log, "a")
    for _ in range(3):
        assert claimed(desk.decide()) == ["a"]
        claim = desk.log.claim("a", ME)
        assert claimed(desk.decide()) == []
        desk.log.write(names.INTERRUPTED, task="a", worker=ME, claim=claim)


def test_suspect_is_taken_by_one_of_two_mechanisms() -> None:
    desk = Desk()
    suspects_of(desk.log, "a", "b")
    lanes = [ReadyTasks(), ReadyTasks()]
    for lane, task in zip(lanes, ("a", "b"), strict=True):
        lane.set_workers({0: ME}, {})
        lane.add(desk.view.live[task])
    situation = Situation(5_000.0, desk.monotonic, LEASE, desk.sessions)
    offers = [(lane, 10) for lane in lanes]
    assert claimed(decide(desk.view, offers, desk.detector, situation)) == ["a"]
    desk.log.claim("a", ME)
    assert claimed(decide(desk.view, offers, desk.detector, situation)) == []


def test_restored_view_knows_held_and_waiting_suspects() -> None:
    desk = Desk()
    suspects_of(desk.log, "a", "b")
    desk.log.claim("a", ME)
    view = TaskView()
    view.restore(desk.view.snapshot())
    assert sorted(view.suspects) == ["a", "b"]
    ready = ReadyTasks()
    ready.set_workers({0: ME}, {})
    ready.add(view.live["b"])
    situation = Situation(5_000.0, desk.monotonic, LEASE, desk.sessions)
    assert claimed(decide(view, [(ready, 10)], desk.detector, situation)) == []
    log = Ledger(view, first=desk.log.end)
    log.write(names.SUCCEEDED, task="a", worker=ME, claim=view.live["a"].claim)
    assert claimed(decide(view, [(ready, 10)], desk.detector, situation)) == ["b"]


def test_task_that_lost_one_of_many_attempts_is_no_suspect() -> None:
    desk = Desk()
    desk.log.submit("a")
    desk.log.join("dead")
    desk.log.claim("a", "dead")
    desk.log.expire("dead", by=ME)
    assert not desk.view.suspects


def test_suspect_of_another_worker_hinders_no_claim() -> None:
    desk = Desk()
    suspects_of(desk.log, "a", "b")
    desk.log.join(OTHER)
    desk.log.claim("a", OTHER)
    assert claimed(desk.decide()) == ["b"]


@pytest.mark.parametrize(
    ("outcome", "still"), [(names.RETRIED, False), (names.INTERRUPTED, True), (names.FAILED, False)]
)
def test_task_that_ends_by_itself_is_no_longer_suspect(outcome: str, still: bool) -> None:
    desk = Desk()
    desk.log.submit("a")
    for dead in ("first", "second"):
        desk.log.join(dead)
        desk.log.claim("a", dead)
        desk.log.expire(dead, by=ME)
    claim = desk.log.claim("a", ME)
    desk.log.write(outcome, task="a", worker=ME, claim=claim)
    assert ("a" in desk.view.suspects) is still
    if outcome == names.FAILED:
        desk.log.write(names.REQUEUED, task="a")
        assert not desk.view.live["a"].suspect


# -- joining ---------------------------------------------------------------------------------------------------------


def test_worker_joins_each_partition_without_a_session() -> None:
    assert Desk(partitions=3, joined=False).decide() == [Join(0), Join(1), Join(2)]


def test_log_order_survives_the_wait_for_a_session() -> None:
    desk = Desk(joined=False)
    for task in ("a", "b", "c"):
        desk.log.submit(task)
    for _ in range(2):
        assert desk.decide(free=1) == [Join(0)]
    desk.log.join(ME)
    assert claimed(desk.decide()) == ["a", "b", "c"]


def test_expired_worker_rejoins_that_partition_alone() -> None:
    desk = Desk(partitions=2)
    desk.logs[1].expire(ME, by=OTHER)
    assert desk.decide() == [Join(1)]


def test_worker_claims_only_once_its_session_is_open() -> None:
    desk = Desk(joined=False)
    desk.log.submit("a")
    assert desk.decide() == [Join(0)]
    desk.log.join(ME)
    assert claimed(desk.decide()) == ["a"]


def test_tasks_of_a_partition_are_claimed_once_it_is_joined() -> None:
    desk = Desk(partitions=2)
    desk.logs[1].submit("there")
    desk.logs[0].submit("here")
    desk.logs[1].expire(ME, by=OTHER)
    commands = desk.decide()
    assert (commands[0], claimed(commands)) == (Join(1), ["here"])
    desk.logs[1].join(ME)
    desk.log.claim("here", ME)
    assert claimed(desk.decide()) == ["there"]


# -- claiming --------------------------------------------------------------------------------------------------------


def test_worker_claims_up_to_its_capacity() -> None:
    desk = Desk()
    for number in range(5):
        desk.log.submit(f"t{number}")
    assert claimed(desk.decide(free=0)) == []
    assert claimed(desk.decide(free=-3)) == []
    assert claimed(desk.decide(free=2)) == ["t0", "t1"]
    assert claimed(desk.decide(free=9)) == ["t2", "t3", "t4"]


def test_each_executor_is_offered_its_own_tasks() -> None:
    desk = Desk()
    second = ReadyTasks()
    second.set_workers({0: ME}, {})
    for number in range(4):
        task = desk.log.submit(f"t{number}")
        second.add(task) if number % 2 else None
    desk.ready = ReadyTasks()
    situation = Situation(5_000.0, desk.monotonic, LEASE, desk.sessions)
    assert claimed(decide(desk.view, [(desk.ready, 9), (second, 1)], desk.detector, situation)) == ["t1"]


def test_delays_go_by_the_wall_clock() -> None:
    desk = Desk()
    desk.log.submit("later", due=5_000.5)
    assert claimed(desk.decide()) == []
    assert claimed(desk.decide(now=5_000.5)) == ["later"]


def test_draining_worker_claims_nothing_and_joins_nothing() -> None:
    desk = Desk(partitions=2)
    desk.log.submit("a")
    desk.logs[1].expire(ME, by=OTHER)
    assert desk.decide(draining=True) == []
    assert claimed(desk.decide()) == ["a"]


# -- signs of life ---------------------------------------------------------------------------------------------------


def holding(partitions: int = 1) -> Desk:
    desk = Desk(partitions)
    for place, log in enumerate(desk.logs):
        log.submit(f"held-{place}")
        log.claim(f"held-{place}", ME)
    return desk


def test_claim_holder_renews_after_a_third_of_its_lease() -> None:
    desk = holding()
    assert desk.decide(monotonic=100 + 0.99 * RENEWAL) == []
    assert desk.decide(monotonic=100 + RENEWAL) == [Beat(0)]


def test_drain_does_not_end_renewals() -> None:
    assert holding().decide(monotonic=100 + RENEWAL, draining=True) == [Beat(0)]


def test_idle_session_sends_no_heartbeat() -> None:
    assert Desk().decide(monotonic=100 + 50 * LEASE) == []


def test_each_partition_is_renewed_by_its_own_silence() -> None:
    desk = holding(3)
    desk.sessions[1] = OwnSession(ME, 100 + RENEWAL)
    assert desk.decide(monotonic=100 + RENEWAL) == [Beat(0), Beat(2)]


def test_claim_is_a_sign_of_life() -> None:
    desk = holding()
    desk.log.submit("next")
    commands = desk.decide(monotonic=100 + RENEWAL)
    assert claimed(commands) == ["next"]
    assert not any(isinstance(command, Beat) for command in commands)


# -- watching --------------------------------------------------------------------------------------------------------


def watching() -> Desk:
    desk = Desk()
    desk.log.join(OTHER, 1_000)
    desk.log.submit("theirs")
    desk.log.claim("theirs", OTHER)
    observe_until(desk, desk.monotonic)
    return desk


def observe_until(desk: Desk, moment: float) -> None:
    """Observe the sessions as often as a worker's loop does, up to a moment of its clock."""
    while desk.monotonic < moment:
        desk.monotonic = min(moment, desk.monotonic + 0.1)
        desk.detector.observe(desk.view, frozenset({ME}), desk.monotonic)
    desk.detector.observe(desk.view, frozenset({ME}), moment)


def prove(desk: Desk) -> None:
    """Append a beat and read it back."""
    desk.log.write(names.BEAT, worker=ME)
    desk.detector.probed(0)


def test_silent_session_is_probed_twice_then_expired() -> None:
    desk = watching()
    last = desk.log.end - 1
    observe_until(desk, 100.4)
    assert desk.decide() == []
    observe_until(desk, 100.51)
    assert desk.decide() == [Beat(0, probe=True)]
    prove(desk)
    observe_until(desk, 100.9)
    assert desk.decide() == []
    observe_until(desk, 101.02)
    assert desk.decide() == [Beat(0, probe=True)]
    prove(desk)
    assert desk.decide() == [Expire(0, OTHER, last)]


def test_silent_session_is_probed_in_every_joined_partition() -> None:
    desk = Desk(partitions=2)
    desk.log.join(OTHER, 1_000)
    desk.log.submit("theirs")
    desk.log.claim("theirs", OTHER)
    observe_until(desk, 100.0)
    observe_until(desk, 100.6)
    assert desk.decide() == [Beat(0, probe=True), Beat(1, probe=True)]


def test_draining_worker_still_probes_silent_sessions() -> None:
    desk = watching()
    observe_until(desk, 101)
    assert desk.decide(draining=True) == [Beat(0, probe=True)]


def test_worker_without_session_neither_probes_nor_expires() -> None:
    desk = watching()
    observe_until(desk, 100.51)
    prove(desk)
    observe_until(desk, 101.02)
    prove(desk)
    desk.log.expire(ME, by="third")
    assert desk.decide() == [Join(0)]


def test_probe_replaces_a_renewal() -> None:
    desk = watching()
    desk.log.submit("mine")
    desk.log.claim("mine", ME)
    observe_until(desk, 100 + RENEWAL + 1)
    assert desk.decide() == [Beat(0, probe=True)]


@pytest.mark.parametrize("name", [names.SUCCEEDED, names.BEAT, names.PROGRESSED])
def test_any_event_of_the_holder_is_a_sign_of_life(name: str) -> None:
    desk = watching()
    observe_until(desk, 101)
    assert desk.decide() == [Beat(0, probe=True)]
    desk.log.write(name, task="theirs", worker=OTHER, claim=-5)  # even one that is refused
    assert desk.decide() == []


# -- schedules -------------------------------------------------------------------------------------------------------


def test_draining_worker_leaves_due_ticks_to_others() -> None:
    desk = Desk()
    trigger = {"type": "interval", "every_ms": 10, "start_ms": 10}
    desk.log.write(
        names.SCHEDULE_CREATED, schedule="report", trigger=trigger, message={"task_name": "report"}, first=10
    )
    schedule = desk.view.schedules["report"]
    due = [DueTicks(schedule, [10])]
    assert desk.decide(due=due) == [Fire(schedule, 10)]
    assert desk.decide(due=due, draining=True) == []


# -- time to live ----------------------------------------------------------------------------------------------------


def test_worker_ends_what_lapses_in_place_of_claiming_it() -> None:
    desk = Desk()
    for task, expires in (("over", 4_999.0), ("now", 5_000.0), ("later", 5_001.0), ("never", 0.0)):
        desk.log.submit(task, expires=expires)
    commands = desk.decide()
    assert [command.task.id for command in commands if isinstance(command, Lapse)] == ["over", "now"]
    assert claimed(commands) == ["later", "never"]


def test_task_that_is_not_taken_does_not_lapse() -> None:
    desk = Desk()
    desk.log.submit("over", expires=1.0, due=9_000.0)
    desk.log.submit("paused", queue="mail", expires=1.0)
    desk.ready.set_paused({0: {"mail"}})
    assert desk.decide() == []
