"""Testing tools for users of the journal: the log port's conformance suite, a manual clock, a faulty log.

`conformance` has the suite; it needs no test framework, but its methods are named so that pytest finds them.
"""

from .clock import ManualClock
from .faults import FaultyLog

__all__ = ["FaultyLog", "ManualClock"]
