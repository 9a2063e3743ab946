"""Compare this machine's clock with those of the brokers, which assign each record's timestamp."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from ..limits import CLOCK_SKEW_SECONDS_MAX
from .client import LOGGER

_NO_TIME: Final = -1


class ClockComparison:
    """Warns, once, when the clock of this machine and a broker's differ by more than `CLOCK_SKEW_SECONDS_MAX`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._warned = False

    def compare(self, own: float, broker_ms: int | None) -> None:
        """Compare the times of one batch: sent at `own` (seconds since the epoch), stored with `broker_ms`."""
        if self._warned or broker_ms is None or broker_ms == _NO_TIME:
            return
        ahead = own - broker_ms / 1_000
        if abs(ahead) <= CLOCK_SKEW_SECONDS_MAX:
            return
        self._warned = True
        LOGGER.warning(
            "this machine's clock shows %s, %.0f s %s the clock of the Kafka broker: one of them is wrong. Correct "
            "it; events already stamped keep their times",
            datetime.fromtimestamp(own, UTC).isoformat(),
            abs(ahead),
            "ahead of" if ahead > 0 else "behind",
        )
