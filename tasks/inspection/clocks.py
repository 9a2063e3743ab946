"""Find signs of wrong clocks in the journal."""

from ...journal.event_decoding import time_in
from ...journal.limits import CLOCK_SKEW_SECONDS_MAX
from ...journal.log import Log, OneClock
from ..limits import CLOCK_SAMPLE_EVENTS
from .wording import number, span


async def clock_faults(log: Log, now: float) -> list[str]:
    """Return a sentence for each sign that a clock is or was wrong, given the time `now` (seconds since the epoch)."""
    found: list[str] = []
    bounds = await log.bounds()
    for partition, end in bounds.end.items():
        ahead = await _ahead(log, partition, max(bounds.first[partition], end - CLOCK_SAMPLE_EVENTS), now)
        if ahead > CLOCK_SKEW_SECONDS_MAX:
            found.append(
                f"one of the newest events of partition {partition} is stamped {span(ahead)} ahead of the clock of "
                "this machine: one of the two clocks is wrong"
            )
    falls = [fall for fall in await log.falls() if not fall.carried] if isinstance(log, OneClock) else []
    if falls:
        found.append(f"a clock was wrong {number(len(falls), 'time')}; at last, {falls[-1]}")
    return found


async def _ahead(log: Log, partition: int, start: int, now: float) -> float:
    """Return how far the latest of the events from `start` on is ahead of `now`, in seconds."""
    pages = await log.read({partition: start}, CLOCK_SAMPLE_EVENTS)
    times = [moment for page in pages for row in page.rows if (moment := time_in(row)) is not None]
    return max(times, default=now) - now
