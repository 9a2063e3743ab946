"""How a consumer is doing."""

from typing import NamedTuple


class Statistics(NamedTuple):
    """A consumer's figures at one moment.

    - `delivered`: events handed out since `start()`, the sentinel not counted.
    - `rate`: of those, events per second since `start()`.
    - `lag`: events in the journal, of any topic, that lie between the last one handed out and the end.
    - `progress`: the fraction of history that has been handed out, from 0 to 1.
    - `bad_records`: records that were no events and were left out since `start()`; see `on_bad_record`.
    """

    delivered: int
    rate: float
    lag: int
    progress: float
    bad_records: int = 0
