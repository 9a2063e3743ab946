"""Watching the sessions of others, with a clock that the test moves: the silent are expired, the living never."""

from hypothesis import given, settings
from hypothesis import strategies as st
from journeyman.workers import Verdict
from journeyman.workers.rules import names
from journeyman.workers.rules.watch import Suspect, Watch
from ledger import Ledger

ME, HOLDER = "me", "holder"
LEASE = 1.0
OWN = frozenset({ME})


class Scene:
    """A watcher, a holder with a claim, and a clock."""

    def __init__(self, lease_ms: int = 1_000) -> None:
        self.log = Ledger()
        self.log.join(ME)
        self.log.join(HOLDER, lease_ms)
        self.log.submit("task")
        self.log.claim("task", HOLDER)
        self.watch = Watch()
        self.now = 100.0
        self.look()

    def look(self, seconds: float = 0.0) -> bool:
        self.now += seconds
        return self.watch.observe(self.log.view, OWN, self.now)

    def probe(self) -> None:
        self.log.write(names.BEAT, worker=ME)
        self.watch.probed(self.log.view, 0, self.now, self.now)

    def be_silent_for_a_lease(self) -> None:
        """With the first proof, in its middle, that the journal works."""
        self.look(LEASE / 2)
        self.probe()
        self.look(LEASE / 2)

    def to_probe(self) -> set[int]:
        return self.watch.to_probe(self.log.view, self.now)

    def suspects(self) -> list[Suspect]:
        return self.watch.suspects(self.log.view)


def test_the_silent_are_probed_twice_and_then_expired() -> None:
    scene = Scene()
    scene.look(LEASE / 2 - 0.001)
    assert scene.to_probe() == set()
    scene.look(0.001)
    assert scene.to_probe() == {0}
    scene.probe()
    assert scene.to_probe() == set()
    scene.look(LEASE / 2 - 0.001)
    assert scene.to_probe() == set()
    scene.look(0.001)
    assert scene.to_probe() == {0}
    assert scene.suspects() == [], "nobody is expired before a beat of our own was read back"
    scene.probe()
    assert scene.to_probe() == set()
    (suspect,) = scene.suspects()
    assert suspect == Suspect(0, HOLDER, 3)
    assert scene.log.write(names.EXPIRED, worker=HOLDER, last=suspect.last, by=ME) is Verdict.ACCEPTED
    assert not scene.look()


def test_where_the_first_proof_comes_late_the_holder_has_half_a_lease_from_there() -> None:
    """The journal was away, as the watcher learns when that beat lands at last; so was it for the holder."""
    scene = Scene()
    scene.look(3 * LEASE)
    assert scene.to_probe() == {0}
    scene.probe()
    assert scene.to_probe() == set()
    scene.look(LEASE / 2 - 0.001)
    assert scene.to_probe() == set()
    scene.look(0.002)
    assert scene.to_probe() == {0}
    assert scene.suspects() == []
    scene.probe()
    assert scene.suspects()


def test_a_beat_proves_nothing_that_was_begun_before_it_was_due() -> None:
    """It may have been for somebody else in the same partition, and landed late."""
    scene = Scene()
    begun = scene.now + LEASE * 0.4
    scene.look(LEASE * 0.6)
    scene.watch.probed(scene.log.view, 0, begun, scene.now)
    assert scene.to_probe() == {0}
    scene.probe()
    begun = scene.now + LEASE * 0.3
    scene.look(LEASE * 0.6)
    scene.watch.probed(scene.log.view, 0, begun, scene.now)
    assert scene.suspects() == []
    assert scene.to_probe() == {0}


def test_a_sign_of_life_ends_the_suspicion_at_every_stage() -> None:
    for stage in ("before the first", "before the second", "before the second landed", "after it"):
        scene = Scene()
        if stage == "before the first":
            scene.look(0.6 * LEASE)
        else:
            scene.look(LEASE / 2)
            scene.probe()
            scene.look(LEASE * (0.4 if stage == "before the second" else 0.6))
        if stage == "after it":
            scene.probe()
        scene.log.write(names.BEAT, worker=HOLDER)
        if stage == "before the second landed":
            scene.probe()
        assert scene.suspects() == [], stage
        scene.look()
        assert scene.suspects() == [], stage
        scene.look(LEASE * 0.4)
        assert scene.to_probe() == set(), stage
        scene.look(LEASE)
        assert scene.to_probe() == {0}, stage


def test_an_expiry_that_crosses_with_a_sign_of_life_is_refused() -> None:
    scene = Scene()
    scene.be_silent_for_a_lease()
    scene.probe()
    (suspect,) = scene.suspects()
    scene.log.write(names.BEAT, worker=HOLDER)
    assert scene.log.write(names.EXPIRED, worker=HOLDER, last=suspect.last, by=ME) is Verdict.REFUSED
    assert scene.suspects() == []


def test_silence_while_the_journal_was_away_does_not_count() -> None:
    scene = Scene()
    scene.look(0.5 * LEASE)
    scene.probe()
    scene.look(0.4 * LEASE)
    scene.watch.restart(scene.now)
    scene.look(0.4 * LEASE)
    assert scene.to_probe() == set()
    scene.look(0.1 * LEASE)
    assert scene.to_probe() == {0}
    scene.probe()
    scene.look(0.4 * LEASE)
    assert scene.to_probe() == set()


def test_a_restart_takes_back_even_a_suspicion_that_was_proved() -> None:
    scene = Scene()
    scene.be_silent_for_a_lease()
    scene.probe()
    assert scene.suspects()
    scene.watch.restart(scene.now)
    assert scene.suspects() == []
    assert scene.to_probe() == set()


def test_only_those_who_hold_claims_matter_and_never_oneself() -> None:
    scene = Scene()
    scene.log.submit("mine")
    scene.log.claim("mine", ME)
    scene.log.join("idle")
    scene.log.end_attempt(names.SUCCEEDED, "task", HOLDER)
    assert not scene.look(100)
    assert scene.to_probe() == set()


def test_the_timer_begins_when_the_claim_is_seen() -> None:
    scene = Scene()
    scene.log.end_attempt(names.SUCCEEDED, "task", HOLDER)
    scene.look(50)
    scene.log.submit("next")
    scene.log.claim("next", HOLDER)
    scene.look(50)
    assert scene.to_probe() == set()
    scene.look(LEASE)
    assert scene.to_probe() == {0}


def test_each_session_has_the_lease_it_joined_with() -> None:
    scene = Scene(lease_ms=10_000)
    scene.look(4.9)
    assert scene.to_probe() == set()
    scene.look(0.1)
    assert scene.to_probe() == {0}


def test_partitions_are_watched_apart() -> None:
    scene = Scene()
    other = Ledger(scene.log.view, partition=1)
    other.join(ME)
    other.join(HOLDER)
    other.submit("there")
    other.claim("there", HOLDER)
    scene.look()
    scene.look(LEASE / 2)
    scene.log.write(names.BEAT, worker=HOLDER)  # in partition 0 only
    scene.look()
    assert scene.to_probe() == {1}
    scene.watch.probed(scene.log.view, 1, scene.now, scene.now)
    scene.look(LEASE / 2)
    assert scene.to_probe() == {0, 1}
    scene.probe()  # in partition 0: it proves nothing about partition 1
    assert scene.suspects() == []
    scene.watch.probed(scene.log.view, 1, scene.now, scene.now)
    assert [(each.partition, each.worker) for each in scene.suspects()] == [(1, HOLDER)]


def test_what_is_over_is_forgotten() -> None:
    scene = Scene()
    scene.be_silent_for_a_lease()
    scene.probe()
    scene.log.write(names.LEFT, worker=HOLDER)
    scene.look()
    assert scene.suspects() == []
    assert scene.watch._sightings == {}


@given(st.lists(st.sampled_from(["pass", "beat", "restart", "probe", "away"]), max_size=80), st.floats(0.05, 0.3))
@settings(max_examples=150, deadline=None)
def test_whoever_shows_life_within_the_lease_is_never_a_suspect(steps: list[str], step: float) -> None:
    scene = Scene()
    since_life = 0.0
    for what in steps:
        seconds = step * (5 if what == "away" else 1)
        if since_life + seconds >= LEASE:
            scene.log.write(names.BEAT, worker=HOLDER)
            since_life = 0.0
            scene.look()
        scene.look(seconds)
        since_life += seconds
        if what == "beat":
            scene.log.write(names.BEAT, worker=HOLDER)
            since_life = 0.0
        elif what == "restart":
            scene.watch.restart(scene.now)
        elif what == "probe":
            scene.probe()
        assert scene.suspects() == []
