"""The conformance suite of the log port: the behaviour required of every implementation.

Subclass `LogConformance`, implement `url`, and let a test runner find the `test_*` methods::

    class TestMyLog(ProcessConformance, LogConformance):
        partitions = 3

        def url(self, partitions: int) -> str:
            return f"mylog://localhost/{uuid.uuid4()}?partitions={partitions}"

`ProcessConformance` is for logs that several processes share. A log whose coroutines need no loop should pass twice,
the second time with `drive = staticmethod(blocking.run)`. A suite whose log is not opened by its URL overrides `log`;
a suite whose log has no `trim(before)` overrides `trim`.
"""

from .suite_appending import AppendingConformance
from .suite_conditions import ConditionsConformance
from .suite_cursors import CursorsConformance
from .suite_lifetime import LifetimeConformance
from .suite_processes import ProcessConformance
from .suite_reading import ReadingConformance
from .suite_repeats import RepeatsConformance

__all__ = ["LogConformance", "ProcessConformance"]


class LogConformance(
    AppendingConformance,
    ConditionsConformance,
    RepeatsConformance,
    ReadingConformance,
    CursorsConformance,
    LifetimeConformance,
):
    """The behaviour of a log within one process."""
