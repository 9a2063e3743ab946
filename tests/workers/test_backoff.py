"""How long a failed task waits. The values are those of the reference task queue, `alsek.core.backoff`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeyman.workers import Backoff, ConstantBackoff, ExponentialBackoff, LinearBackoff, settings2backoff
from journeyman.workers.backoff import NO_BACKOFF, settings_to_backoff

HOUR_MS = 3_600_000

backoffs = st.one_of(
    st.builds(ConstantBackoff, st.integers(0, 10**7), st.none() | st.integers(0, 100), st.none() | st.integers(100)),
    st.builds(LinearBackoff, st.integers(0, 10**6), st.none() | st.integers(0, 100), st.none() | st.integers(100)),
    st.builds(
        ExponentialBackoff,
        st.integers(1, 9),
        st.integers(0, 10**6),
        st.none() | st.integers(0, 100),
        st.none() | st.integers(100),
        zero_override=st.booleans(),
    ),
)


@pytest.mark.parametrize(
    ("backoff", "waits"),
    [
        (ConstantBackoff(), [0, 60_000, 60_000, 60_000]),
        (LinearBackoff(), [0, 60_000, 60_000, 90_000, 120_000]),
        (ExponentialBackoff(), [0, 60_000, 160_000, 640_000, 2_560_000, HOUR_MS, HOUR_MS]),
        (LinearBackoff(1_000, floor=1_000, ceiling=30_000, zero_override=False), [1_000, 1_000, 2_000]),
        (ConstantBackoff(5, floor=None, ceiling=None, zero_override=False), [5, 5]),
        (ExponentialBackoff(2, 10, floor=0, ceiling=50, zero_override=False), [10, 20, 40, 50, 50]),
        (NO_BACKOFF, [0, 0, 0]),
    ],
    ids=repr,
)
def test_the_values_of_the_reference(backoff: Backoff, waits: list[int]) -> None:
    assert [backoff.get(incidents) for incidents in range(len(waits))] == waits


@given(backoffs, st.integers(0, 10_000))
def test_a_wait_is_within_floor_and_ceiling(backoff: Backoff, incidents: int) -> None:
    wait = backoff.get(incidents)
    assert wait >= 0
    if incidents or not backoff.zero_override:
        assert backoff.floor is None or wait >= backoff.floor
        assert backoff.ceiling is None or wait <= backoff.ceiling


@given(backoffs)
def test_the_settings_make_an_equal_one(backoff: Backoff) -> None:
    twin = settings2backoff(backoff.settings)
    assert twin == backoff
    assert hash(twin) == hash(backoff)
    assert [twin.get(incidents) for incidents in range(6)] == [backoff.get(incidents) for incidents in range(6)]


def test_different_ones_are_not_equal() -> None:
    assert ConstantBackoff(5, floor=0) != ConstantBackoff(6, floor=0)
    assert ConstantBackoff() != LinearBackoff()
    assert settings_to_backoff is settings2backoff


def test_a_floor_above_the_ceiling_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be above its ceiling, got 10 and 5 ms"):
        ConstantBackoff(1, floor=10, ceiling=5)


def test_an_algorithm_that_is_not_imported_is_named() -> None:
    with pytest.raises(ValueError, match=r"unknown backoff 'Fibonacci'.*known are.*ConstantBackoff"):
        settings2backoff({"algorithm": "Fibonacci", "parameters": {}})
