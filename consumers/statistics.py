"""How a consumer is doing."""

from typing import NamedTuple


class Statistics(NamedTuple):
    """A consumer's figures at one moment.

    - `delivered`: events handed out since `start()`, the sentinel not counted.
    - `rate`: of those, events per second since `start()`.
    - `lag`: events of the consumer's own topic and key that lie between the last one handed out and the end of the
      journal. Where more than `LAG_EVENTS_MAX` events of any kind lie there, they are not counted: `lag` is then
      `ahead`, which is as much or more, and `lag_counted` is false. `where` is not asked.
    - `progress`: the fraction of history that has been handed out, from 0 to 1.
    - `bad_records`: records that were no events and were left out since `start()`; see `on_bad_record`.
    - `ahead`: events of any kind that lie between the last one handed out and the end.
    - `lag_counted`: whether `lag` is exact.
    """

    delivered: int
    rate: float
    lag: int
    progress: float
    bad_records: int = 0
    ahead: int = 0
    lag_counted: bool = True


class Lag(NamedTuple):
    """How far a consumer is behind: see `Statistics`."""

    lag: int
    ahead: int
    counted: bool
