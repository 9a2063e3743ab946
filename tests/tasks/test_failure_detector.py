"""The failure detector with a clock that the test moves: silent sessions are expired, living ones never."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journeyman.tasks import Verdict
from journeyman.tasks.failure_detector import FailureDetector, SilentSession
from journeyman.tasks.limits import (
    LEASE_RECOVERY_SECONDS,
    LEASE_RENEWAL_FRACTION,
    WATCH_INTERVAL_SECONDS,
    WATCH_STEP_FRACTION,
)
from journeyman.tasks.state import names
from support.ledger import Ledger

ME, HOLDER = "me", "holder"
LEASE = 12.0
STEP = LEASE * WATCH_STEP_FRACTION
TICK, EXACT = 0.1, 0.125
OWN = frozenset({ME})


class Scene:
    """A worker that watches, a holder with a claim, and a clock."""

    def __init__(self, lease: float = LEASE) -> None:
        self.lease = lease
        self.log = Ledger()
        self.log.join(ME)
        self.log.join(HOLDER, int(lease * 1_000))
        self.detector = FailureDetector(lease)
        self.now = 100.0
        self.observe()
        self.step(30)  # the watch has worked for a while when the claim is seen
        self.log.submit("task")
        self.log.claim("task", HOLDER)
        self.observe()

    def observe(self) -> bool:
        return self.detector.observe(self.log.view, OWN, self.now)

    def work(self, seconds: float) -> None:
        """Let time pass in which the loop turns and the journal works."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + TICK)
            self.observe()

    def step(self, steps: int) -> None:
        """Let time pass as `work` does, in steps of which floating point makes exact sums."""
        for _ in range(steps):
            self.now += EXACT
            self.observe()

    def block(self, seconds: float) -> None:
        """Let time pass in which the loop waits for one append."""
        self.now += seconds
        self.observe()

    def fail(self, seconds: float) -> None:
        """Let time pass in which a read fails again and again while the loop turns."""
        self.detector.failure_began()
        self.work(seconds)
        self.detector.failure_ended()
        self.observe()

    def probe(self) -> None:
        self.log.write(names.BEAT, worker=ME)
        self.detector.probed(0)

    def wants_probe(self) -> bool:
        return self.detector.to_probe(self.log.view)

    def to_expire(self) -> list[SilentSession]:
        return self.detector.to_expire(self.log.view)

    def seconds_to_expiry(self) -> float:
        """How long the journal has to work until the session is to be expired, probing as a worker does."""
        begun = self.now
        while not self.to_expire():
            assert self.now - begun < 10 * self.lease, "the session is never expired"
            if self.wants_probe():
                self.probe()
            else:
                self.work(TICK)
        return self.now - begun


def test_silent_session_is_probed_twice_and_then_expired() -> None:
    scene = Scene()
    scene.work(LEASE / 2 - 0.05)
    assert not scene.wants_probe()
    scene.work(0.1)
    assert scene.wants_probe()
    scene.probe()
    scene.work(LEASE / 2 - 0.1)
    assert not scene.wants_probe()
    scene.work(0.2)
    assert scene.wants_probe()
    assert scene.to_expire() == [], "no session is expired before the second beat was read back"
    scene.probe()
    assert not scene.wants_probe()
    (silent,) = scene.to_expire()
    assert silent == SilentSession(0, HOLDER, 3)
    assert scene.log.write(names.EXPIRED, worker=HOLDER, last=silent.last, by=ME) is Verdict.ACCEPTED
    assert not scene.observe()


def test_proofs_are_due_after_half_and_the_whole_lease() -> None:
    scene = Scene()
    for _ in range(2):
        scene.step(int(LEASE / 2 / EXACT) - 1)
        assert not scene.wants_probe()
        scene.step(1)
        assert scene.wants_probe()
        scene.probe()
    assert scene.to_expire()


def test_late_first_proof_leaves_half_a_lease_to_the_second() -> None:
    scene = Scene()
    scene.work(0.9 * LEASE)
    scene.probe()
    scene.work(0.5 * LEASE - 2 * TICK)
    assert not scene.wants_probe(), "though it was silent for its whole lease"
    scene.work(4 * TICK)
    assert scene.wants_probe()


def test_expiry_remains_due_until_it_is_made() -> None:
    scene = Scene()
    scene.seconds_to_expiry()
    scene.work(2 * LEASE)
    assert scene.to_expire()
    assert not scene.wants_probe(), "two proofs are enough"


def test_session_is_expired_after_its_lease() -> None:
    assert LEASE <= Scene().seconds_to_expiry() <= LEASE + 3 * TICK


@pytest.mark.parametrize("silent_before", [0.5, 5.0, 7.0, 9.5, 11.5])
@pytest.mark.parametrize("how", ["block", "fail"])
def test_outage_pauses_the_timer(silent_before: float, how: str) -> None:
    """From the last event to the expiry: the lease, the outage, and what is counted of the outage at most."""
    scene = Scene()
    begun = scene.now
    while scene.now - begun < silent_before:
        scene.work(TICK)
        if scene.wants_probe():
            scene.probe()
    getattr(scene, how)(8.0)
    scene.seconds_to_expiry()
    took = scene.now - begun
    assert took + TICK >= LEASE + 8.0 - STEP
    assert took <= LEASE + 8.0 + 1.0


def test_successive_outages_add_up() -> None:
    scene = Scene()
    begun, away = scene.now, 0.0
    for _ in range(4):
        scene.work(2.5)
        if scene.wants_probe():
            scene.probe()
        scene.block(8.0)
        away += 8.0
    scene.seconds_to_expiry()
    assert scene.now - begun <= LEASE + away + 1.0


def test_unnoticed_outage_leaves_half_a_lease_after_the_probe() -> None:
    """The loop turned all the while, since there was nothing to append; the first beat then takes until the end."""
    scene = Scene()
    scene.work(LEASE / 2 + 0.05)
    assert scene.wants_probe()
    scene.block(3 * LEASE)
    scene.probe()
    assert scene.seconds_to_expiry() >= LEASE / 2 - STEP - TICK


@pytest.mark.parametrize("how", ["block", "fail"])
def test_short_lease_restarts_after_an_outage(how: str) -> None:
    """A holder with a lease as short as reaching the journal takes would otherwise be expired alive."""
    lease = LEASE_RECOVERY_SECONDS
    scene = Scene(lease)
    scene.work(lease * 0.9)
    scene.probe()
    getattr(scene, how)(5.0)
    scene.work(lease / 2 + TICK)
    assert scene.wants_probe(), "the first proof is made again too"
    assert scene.seconds_to_expiry() >= lease / 2 - TICK


@pytest.mark.parametrize(
    ("silent", "blocked", "suspected"),
    [
        (1.375, 0.5, True),
        (1.375, 1.0, True),  # a third of the lease: no outage, so nothing is granted
        (1.375, 1.125, False),
        (2.625, 8.0, False),
        (2.75, 8.0, True),  # its renewal was overdue by `LEASE_RECOVERY_SECONDS` before
    ],
)
def test_recovery_is_granted_after_outages_unless_overdue(silent: float, blocked: float, suspected: bool) -> None:
    scene = Scene(3.0)
    scene.step(int(silent / EXACT))
    scene.block(blocked)
    assert scene.wants_probe() is suspected


def test_blocked_loop_counts_as_two_watch_intervals_at_most() -> None:
    scene = Scene(1.0)
    scene.block(0.3)
    scene.block(0.3)
    assert not scene.wants_probe()
    scene.block(0.3)
    assert scene.wants_probe()


def test_overdue_holder_gets_no_recovery_time() -> None:
    scene = Scene()
    silent = LEASE * LEASE_RENEWAL_FRACTION + LEASE_RECOVERY_SECONDS + TICK
    scene.work(silent)
    scene.probe()
    scene.block(8.0)
    assert scene.seconds_to_expiry() <= LEASE - silent + 3 * TICK


def test_blocked_final_probe_of_a_short_lease_expires_no_session() -> None:
    scene = Scene(LEASE_RECOVERY_SECONDS)
    scene.work(scene.lease / 2 + TICK)
    scene.probe()
    scene.work(scene.lease / 2 + TICK)
    assert scene.wants_probe()
    scene.now += 8.0
    scene.probe()
    scene.observe()
    assert scene.to_expire() == []


def test_sign_of_life_ends_the_suspicion_at_every_stage() -> None:
    for stage in ("before the first", "before the second", "before the second landed", "after it"):
        scene = Scene()
        scene.work(LEASE * 0.6)
        if stage != "before the first":
            scene.probe()
            scene.work(LEASE * (0.3 if stage == "before the second" else 0.7))
        if stage == "after it":
            scene.probe()
        scene.log.write(names.BEAT, worker=HOLDER)
        if stage == "before the second landed":
            scene.probe()
        assert scene.to_expire() == [], stage
        scene.observe()
        assert scene.to_expire() == [], stage
        scene.work(LEASE * 0.4)
        assert not scene.wants_probe(), stage
        scene.work(LEASE)
        assert scene.wants_probe(), stage


def test_expiry_crossing_a_sign_of_life_is_refused() -> None:
    scene = Scene()
    scene.seconds_to_expiry()
    (silent,) = scene.to_expire()
    scene.log.write(names.BEAT, worker=HOLDER)
    assert scene.log.write(names.EXPIRED, worker=HOLDER, last=silent.last, by=ME) is Verdict.REFUSED
    assert scene.to_expire() == []


def test_failure_stops_working_time_until_it_ends() -> None:
    scene = Scene()
    scene.detector.failure_began()
    scene.work(3 * LEASE)
    assert not scene.wants_probe()
    scene.detector.failure_ended()
    scene.work(LEASE / 2 + 2 * TICK)
    assert scene.wants_probe()


def test_failure_between_two_observations_is_noticed() -> None:
    scene = Scene()
    for _ in range(int(3 * LEASE / EXACT)):
        scene.detector.failure_began()
        scene.detector.failure_ended()
        scene.step(1)
    assert not scene.wants_probe()


def test_simultaneous_failures_are_counted_apart() -> None:
    scene = Scene()
    scene.detector.failure_began()
    scene.detector.failure_began()
    scene.detector.failure_ended()
    scene.work(3 * LEASE)
    assert not scene.wants_probe()


def test_own_and_idle_sessions_are_not_watched() -> None:
    scene = Scene()
    scene.log.submit("mine")
    scene.log.claim("mine", ME)
    scene.log.join("idle")
    scene.log.end_attempt(names.SUCCEEDED, "task", HOLDER)
    assert not scene.observe()
    scene.work(3 * LEASE)
    assert not scene.wants_probe()


def test_timer_begins_when_the_claim_is_seen() -> None:
    scene = Scene()
    scene.log.end_attempt(names.SUCCEEDED, "task", HOLDER)
    scene.work(50)
    scene.log.submit("next")
    scene.log.claim("next", HOLDER)
    scene.work(TICK)
    assert not scene.wants_probe()
    scene.work(LEASE)
    assert scene.wants_probe()


def test_each_session_has_the_lease_it_joined_with() -> None:
    scene = Scene()
    scene.log.join("patient", 100_000)
    scene.log.submit("theirs")
    scene.log.claim("theirs", "patient")
    scene.log.end_attempt(names.SUCCEEDED, "task", HOLDER)
    scene.work(49)
    assert not scene.wants_probe()
    scene.work(1.2)
    assert scene.wants_probe()


def test_partitions_are_watched_apart() -> None:
    scene = Scene()
    other = Ledger(scene.log.view, partition=1)
    other.join(ME)
    other.join(HOLDER, int(LEASE * 1_000))
    other.submit("there")
    other.claim("there", HOLDER)
    scene.observe()
    scene.work(LEASE / 2 + TICK)
    scene.log.write(names.BEAT, worker=HOLDER)  # in partition 0 only
    scene.observe()
    scene.detector.probed(1)
    scene.work(LEASE / 2 + TICK)
    scene.probe()  # in partition 0: it proves nothing about partition 1
    assert scene.to_expire() == []
    scene.detector.probed(1)
    assert [(each.partition, each.worker) for each in scene.to_expire()] == [(1, HOLDER)]


def test_ended_session_is_forgotten() -> None:
    scene = Scene()
    scene.seconds_to_expiry()
    scene.log.write(names.LEFT, worker=HOLDER)
    scene.observe()
    assert scene.to_expire() == []
    assert scene.detector._sightings == {}


@given(
    st.lists(st.sampled_from(["work", "beat", "block", "fail", "probe"]), max_size=80),
    st.floats(0.05, 0.3),
    st.sampled_from([0.5, 2.0, 12.0]),
)
@settings(max_examples=150, deadline=None)
def test_living_session_is_never_expired(steps: list[str], step: float, lease: float) -> None:
    """A holder that shows itself within each lease of working time, and soon after each outage."""
    scene = Scene(lease)
    most_of_a_block = max(lease * WATCH_STEP_FRACTION, 2 * WATCH_INTERVAL_SECONDS)  # counts as silence
    since_life = 0.0
    for what in steps:
        seconds = step * lease * (5 if what in ("block", "fail") else 1)
        counted = {"fail": 0.0, "probe": 0.0, "block": min(seconds, most_of_a_block)}.get(what, seconds)
        if what == "beat" or since_life + counted >= lease / 2:
            scene.log.write(names.BEAT, worker=HOLDER)
            since_life = 0.0
            scene.observe()
        if what == "probe":
            scene.probe()
        else:
            getattr(scene, "work" if what == "beat" else what)(seconds)
        since_life += counted
        assert scene.to_expire() == []
