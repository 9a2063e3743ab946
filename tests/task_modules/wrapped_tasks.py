"""Tasks whose functions say that they are of another module."""

import journeyman as jm
from task_modules.loud import loud

broker = jm.Broker("memory://")


@jm.task(broker, name="wrapped", mechanism="process")
@loud
def wrapped(number: int) -> str:
    """Says something."""
    return f"ran {number}"


@jm.task(broker, mechanism="process")
def plain(number: int) -> str:
    """Says it in a low voice."""
    return f"ran {number}"
