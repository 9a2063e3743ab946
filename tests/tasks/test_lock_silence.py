"""The observations of silent owners of locks: what counts as silence, and what does not."""

import math

import msgspec
from journeyman.tasks.locking.silence import Silence
from journeyman.tasks.state.locks import LockRequest

HELD = LockRequest(5, 0.0, "ada", 1, 10_000, None, "", 0, 5, 0.0, 5, 0.0)


def observed(silence: Silence, now: float, request: LockRequest = HELD, *, landed: bool = True) -> list[str]:
    """The reasons for which the request would be expired at that time, in seconds."""
    return [reason for _, reason in silence.observe("door", [request], (), now, landed=landed)]


def test_owner_is_silent_after_a_lease_in_which_events_landed() -> None:
    silence = Silence()
    assert [observed(silence, now) for now in (0.0, 4.0, 8.0, 9.9)] == [[], [], [], []]
    assert observed(silence, 10.0) == ["silent"]


def test_renewal_begins_the_lease_again() -> None:
    silence = Silence()
    for now in (0.0, 4.0, 8.0):
        observed(silence, now)
    renewed = msgspec.structs.replace(HELD, last=9)
    assert [observed(silence, now, renewed) for now in (11.0, 15.0, 20.0)] == [[], [], []]
    assert observed(silence, 21.0, renewed) == ["silent"]


def test_time_in_which_nothing_landed_counts_as_half_a_lease() -> None:
    silence = Silence()
    assert [observed(silence, now) for now in (0.0, 3_600.0, 3_604.9)] == [[], [], []]
    assert observed(silence, 3_605.0) == ["silent"]


def test_observation_without_an_event_adds_no_silence() -> None:
    silence = Silence()
    assert not any(observed(silence, float(now), landed=False) for now in range(100))
    assert silence.wants_proof("door", 100.0)
    assert not silence.wants_proof("gate", 100.0)


def test_proof_is_due_when_a_request_was_silent_for_a_step() -> None:
    silence = Silence()
    assert (silence.proof_due("door"), silence.step("door")) == (math.inf, math.inf)
    assert not observed(silence, 3.0)
    assert (silence.proof_due("door"), silence.step("door")) == (8.0, 5.0)
    assert [silence.wants_proof("door", now) for now in (7.9, 8.0)] == [False, True]
    assert not observed(silence, 6.0)
    assert silence.proof_due("door") == 11.0, "an event has landed"


def test_own_requests_are_never_expired() -> None:
    silence = Silence()
    for now in (0.0, 5.0, 10.0, 15.0):
        assert silence.observe("door", [HELD], [HELD.token], now, landed=True) == []
    assert not silence.wants_proof("door", 100.0)


def test_hold_is_over_when_its_ttl_was_observed() -> None:
    silence, bounded = Silence(), msgspec.structs.replace(HELD, ttl_ms=2_000)
    waiting = msgspec.structs.replace(bounded, granted=-1)
    assert observed(silence, 0.0, waiting) == []
    assert observed(silence, 3.0, bounded) == [], "the hold begins with the grant"
    assert observed(silence, 4.9, bounded) == []
    assert observed(silence, 5.0, bounded) == ["ttl"]
