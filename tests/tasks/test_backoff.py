"""The wait before a failed task runs again. The values are those of the reference task queue, `alsek.core.backoff`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeyman.tasks import Backoff, ConstantBackoff, ExponentialBackoff, LinearBackoff, settings2backoff
from journeyman.tasks.backoff import NO_BACKOFF, settings_to_backoff

HOUR_MS = 3_600_000

backoffs = st.one_of(
    st.builds(ConstantBackoff, st.integers(0, 10**8)),
    st.builds(ConstantBackoff, st.integers(100, 10**7), st.none() | st.integers(0, 100), st.none() | st.just(10**7)),
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
def test_default_waits_equal_those_of_the_reference(backoff: Backoff, waits: list[int]) -> None:
    assert [backoff.get(incidents) for incidents in range(len(waits))] == waits


@given(backoffs, st.integers(0, 10_000))
def test_wait_is_within_minimum_and_maximum(backoff: Backoff, incidents: int) -> None:
    wait = backoff.get(incidents)
    assert wait >= 0
    if incidents or not backoff.zero_override:
        assert backoff.floor is None or wait >= backoff.floor
        assert backoff.ceiling is None or wait <= backoff.ceiling


@given(backoffs)
def test_backoff_made_of_settings_is_equal(backoff: Backoff) -> None:
    twin = settings2backoff(backoff.settings)
    assert twin == backoff
    assert hash(twin) == hash(backoff)
    assert [twin.get(incidents) for incidents in range(6)] == [backoff.get(incidents) for incidents in range(6)]


def test_different_backoffs_are_not_equal() -> None:
    assert ConstantBackoff(5, floor=0) != ConstantBackoff(6, floor=0)
    assert ConstantBackoff() != LinearBackoff()
    assert settings_to_backoff is settings2backoff


def test_minimum_above_maximum_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be above its ceiling, got 10 and 5 ms"):
        ConstantBackoff(1, floor=10, ceiling=5)


def test_algorithm_that_is_not_imported_is_named() -> None:
    with pytest.raises(ValueError, match=r"unknown backoff 'Fibonacci'.*known are.*ConstantBackoff"):
        settings2backoff({"algorithm": "Fibonacci", "parameters": {}})


@pytest.mark.parametrize(
    ("backoff", "first"),
    [
        (ConstantBackoff(500), 500),
        (ConstantBackoff(2 * HOUR_MS), 2 * HOUR_MS),
        (ConstantBackoff(0), 0),
        (LinearBackoff(500), 500),
        (LinearBackoff(30_000), 60_000),
        (ExponentialBackoff(2, 100), 200),
        (ExponentialBackoff(2, 10_000), 20_000),
        (ExponentialBackoff(4, 10_000), 60_000),
        (ConstantBackoff(70_000, ceiling=80_000), 70_000),
        (LinearBackoff(500, ceiling=30_000), 500),
        (ExponentialBackoff(2, 100, floor=5_000), 5_000),
        (ExponentialBackoff(floor=2 * HOUR_MS), 2 * HOUR_MS),
    ],
    ids=repr,
)
def test_named_wait_overrides_default_bounds(backoff: Backoff, first: int) -> None:
    assert backoff.get(1) == first


@pytest.mark.parametrize("bounds", [{"floor": 1_000}, {"floor": None, "ceiling": 100}])
def test_constant_outside_of_named_bounds_is_refused(bounds: dict[str, int | None]) -> None:
    with pytest.raises(ValueError, match=r"a constant backoff of 500 ms would never apply.*floor=.*ceiling="):
        ConstantBackoff(500, **bounds)  # type: ignore[arg-type]


def test_settings_of_an_older_version_keep_their_minimum() -> None:
    written = {"constant": 500, "floor": 60_000, "ceiling": 3_600_000, "zero_override": True}
    assert settings2backoff({"algorithm": "ConstantBackoff", "parameters": written}).get(1) == 60_000


class Jittered(ExponentialBackoff):
    """A backoff of a user's own, made of one of ours."""


class MoreJittered(Jittered):
    """And one made of that."""


@pytest.mark.parametrize("kind", [Jittered, MoreJittered])
def test_subclass_of_subclass_is_made_of_its_settings(kind: type[ExponentialBackoff]) -> None:
    twin = settings2backoff(kind(3, 7).settings)
    assert type(twin) is kind
    assert twin == kind(3, 7)
