"""The routing key of a task: it names the partition in which the task is decided. Pure.

Tasks that are decided together share a partition, so the partition has to follow from the id of each: the id of a tick
is `SCHEDULE@TICK`, that of the second link of a chain `ROOT@2`. The routing key is the id without such endings. Any
other id is its own routing key, also one that contains an "@", such as an address.
"""

import re
from typing import Final

# An ending consists of digits and the characters of a time in ISO 8601.
_ENDINGS: Final = re.compile(r"(?<=[\s\S])(?:@[0-9][0-9TZ:.+-]*)+\Z")


def routing_key(task_id: str) -> str:
    """Return the key of the events of a task, by which its partition is found."""
    if "@" not in task_id:
        return task_id
    endings = _ENDINGS.search(task_id)
    return task_id if endings is None else task_id[: endings.start()]


def link_id(root: str, number: int) -> str:
    """Return the id of a link of the chain that begins with the task `root`; the root's first successor is 1."""
    return f"{root}@{number}"
