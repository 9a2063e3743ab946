"""What users of the journal test with: the conformance suite of the log port, a manual clock, a faulty log.

`conformance` has the suite; it needs no test framework, though its methods are named so that pytest finds them.
"""

from .clock import ManualClock
from .faults import FaultyLog

__all__ = ["FaultyLog", "ManualClock"]
