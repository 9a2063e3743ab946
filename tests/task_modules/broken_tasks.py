"""A module that child processes cannot import until a file says that it was mended; another, that they wait for it."""

import sys
import time

import journeyman as jm
from task_modules.daemon_tasks import YARD

broker = jm.Broker("memory://")

if any("children.inside" in argument for argument in sys.orig_argv):
    while (YARD / "hang").exists() and not (YARD / "mended").exists():
        time.sleep(0.005)
    if not (YARD / "mended").exists():
        raise ImportError("a library is missing here")


@jm.task(broker, mechanism="process")
def compute(number: int) -> int:
    """Could be run if it could be imported."""
    return number
