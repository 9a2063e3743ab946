"""The routing key of a task: it names the partition in which the task is decided. Pure.

Tasks that are decided together share a partition, so the partition has to follow from the id of each. The task of a
tick has the id `SCHEDULE@TICK`, the second link of a chain `ROOT@2`, a task that is decided with its lock
`LOCK@NUMBER`. The routing key is the id without such endings. Any other id is its own routing key, even if it contains
an "@", as an address does.
"""

import re
from typing import Final

import msgspec

# An ending consists of digits and the characters of a time in ISO 8601.
_ENDINGS: Final = re.compile(r"(?<=[\s\S])(?:@[0-9][0-9TZ:.+-]*)+\Z")


# The ending of a task that is routed by the name of its lock: an own number, longer than a link's or a tick's.
_OWN_DIGITS: Final = 39


# What the submission of a task with a linked lock contains: so others need not be decoded for it.
LINKED_MARK: Final = b'"linked_lock":{'


class _Submitted(msgspec.Struct):
    task: str


def submitted_id(key: str | None, context: bytes) -> str:
    """Return the id of the task that a submission is about: its key, unless the task is routed by its lock."""
    if LINKED_MARK not in context:
        return str(key)
    return msgspec.json.decode(context, type=_Submitted).task


def routing_key(task_id: str) -> str:
    """Return the key of the events of a task, by which its partition is found."""
    if "@" not in task_id:
        return task_id
    endings = _ENDINGS.search(task_id)
    return task_id if endings is None else task_id[: endings.start()]


def routed_id(name: str, number: int) -> str:
    """Return a task id whose routing key is `name`; `number` is one of 128 bits that no other task has."""
    return f"{name}@{number:0{_OWN_DIGITS}}"


def is_routed_by(task_id: str, name: str) -> bool:
    """Return whether `routed_id` has made that id, with this name."""
    own = task_id.removeprefix(f"{name}@")
    return own != task_id and len(own) == _OWN_DIGITS and own.isdecimal() and routing_key(task_id) == name


def link_id(root: str, number: int) -> str:
    """Return the id of a link of the chain that begins with the task `root`; the root's first successor is 1."""
    return f"{root}@{number}"
