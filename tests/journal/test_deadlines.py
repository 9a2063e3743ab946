"""Timeouts as callers give them."""

import math
import time

import pytest
from journeyman.journal.deadlines import deadline_of, finite, finite_or_negative
from journeyman.journal.limits import WAIT_SECONDS_MAX


@pytest.mark.parametrize("timeout", [None, math.inf, 1e300, WAIT_SECONDS_MAX * 2])
def test_endless_timeout_is_no_timeout(timeout: float | None) -> None:
    assert finite(timeout) is None
    assert deadline_of(timeout) is None


@pytest.mark.parametrize("timeout", [-math.inf, -1.0, -0.001])
def test_negative_timeout_waits_for_ever_only_where_asked(timeout: float) -> None:
    assert finite_or_negative(timeout) is None
    deadline = deadline_of(timeout)
    assert deadline is not None
    assert deadline < time.monotonic()


def test_deadline_lies_its_timeout_ahead() -> None:
    before = time.monotonic()
    deadline = deadline_of(5.0)
    assert deadline is not None
    assert before + 5.0 <= deadline <= time.monotonic() + 5.0
    assert finite_or_negative(5.0) == finite(5.0) == 5.0


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="got NaN"):
        finite(math.nan)
    with pytest.raises(ValueError, match="got NaN"):
        finite_or_negative(math.nan)
