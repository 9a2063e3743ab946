"""A module that child processes cannot import until a file says that it was mended."""

import sys

import journeyman as jm
from yard_tasks import YARD

broker = jm.Broker("memory://")

if any("crew.child" in argument for argument in sys.orig_argv) and not (YARD / "mended").exists():
    raise ImportError("a library is missing here")


@jm.task(broker, mechanism="process")
def compute(number: int) -> int:
    """Could be run if it could be imported."""
    return number
