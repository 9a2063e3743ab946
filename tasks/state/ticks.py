"""Which ticks of a schedule are due, by its policy, and the ids of their tasks. Pure.

Ticks and moments are whole ms since the epoch. The calendar is a function, `next_tick(moment)`: it returns the first
tick behind a moment, None if there is none.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

NextTick = Callable[[int], int | None]


def next_due(last: int, misfire: str, grace_ms: int, now: int, next_tick: NextTick) -> int | None:
    """Return the first tick behind `last` that is to be fired, due or not; None if there is none any more."""
    return next_tick(max(last, now - grace_ms - 1) if misfire == "skip" else last)


def due_ticks(
    last: int, misfire: Literal["run_once", "skip", "run_all"], grace_ms: int, now: int, next_tick: NextTick, limit: int
) -> list[int]:
    """Return the ticks to fire at `now`, the first ones, at most `limit`; `last` is the last settled one.

    Ticks that are later than `grace_ms` are missed: "run_all" fires them all, "skip" none, and "run_once" the newest
    tick that is due in place of all of them.
    """
    first = next_due(last, misfire, grace_ms, now, next_tick)
    if first is None or first > now:
        return []
    if misfire == "run_once" and first < now - grace_ms:
        return [_newest(first, now, next_tick)]
    ticks: list[int] = []
    tick: int | None = first
    while tick is not None and tick <= now and len(ticks) < limit:
        ticks.append(tick)
        tick = next_tick(tick)
    return ticks


def _newest(first: int, now: int, next_tick: NextTick) -> int:
    """Return the newest tick up to `now`, by bisection; `first` is one of them."""
    newest, beyond = first, now
    while newest < beyond:  # the newest tick is at `newest`, or behind it and not behind `beyond`
        middle = (newest + beyond) // 2
        tick = next_tick(middle)
        if tick is not None and tick <= now:
            newest = tick
        else:
            beyond = middle
            tick = next_tick(newest)
            if tick is None or tick > now:
                break
    return newest


@lru_cache(maxsize=256)  # many schedules tick at the same moment
def tick_text(tick: int) -> str:
    """Return a moment as text, in UTC: `2026-11-30T03:00:00Z`, with milliseconds only if there are any."""
    moment = datetime.fromtimestamp(tick // 1_000, UTC)
    fraction = f".{tick % 1_000:03}" if tick % 1_000 else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def tick_id(schedule: str, tick: int) -> str:
    """Return the id of a tick's task: `report@2026-11-30T03:00:00Z`; its routing key is the schedule's name."""
    return f"{schedule}@{tick_text(tick)}"
