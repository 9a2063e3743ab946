"""Define the statistics of a consumer."""

from typing import NamedTuple


class Statistics(NamedTuple):
    """A consumer's figures at one moment.

    - `delivered`: events delivered since `start()`, without the sentinel.
    - `rate`: delivered events per second since `start()`.
    - `lag`: events of the consumer's own topic and key between the last one delivered and the end of the journal. If
      more than `LAG_EVENTS_MAX` events of any kind are there, they are not counted: `lag` is then `ahead`, an upper
      bound, and `lag_counted` is false. `where` is not applied.
    - `progress`: the fraction of history that has been delivered, from 0 to 1.
    - `bad_records`: records skipped since `start()` because they are not events; see `on_bad_record`.
    - `ahead`: events of any kind between the last one delivered and the end.
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
    """The lag of a consumer: see `Statistics`."""

    lag: int
    ahead: int
    counted: bool
