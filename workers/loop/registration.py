"""What a worker says of itself when it opens a session: where it runs, what it knows, which queues it serves."""

import os
import socket
from collections.abc import Iterable

import orjson
from msgspec.structs import replace

from ...tasks.state.decoding import FactContext
from ...tasks.state.selection import Selection
from ..limits import WORKER_TASKS_CHARS_MAX
from .machine import machine


def joining(
    worker: str, lease_ms: int, tasks: Iterable[str], selection: Selection, slots: int
) -> tuple[FactContext, bytes]:
    """The context of a `worker.joined`, as the fold sees it and as it stands in the log.

    `tasks` are the names the worker can run, `selection` which of them it claims, `slots` how many tasks it runs at a
    time. Names beyond the limit are left out, and how many is said.
    """
    named, left_out = bounded(tasks)
    said_more = selection.said()
    fact = FactContext(
        worker=worker,
        host=socket.gethostname(),
        pid=os.getpid(),
        machine=machine(),
        lease_ms=lease_ms,
        tasks=named,
        more_tasks=left_out,
        queues=selection.queues,
        selection=replace(selection, queues=None) if said_more else None,
        slots=slots,
    )
    said = {name: getattr(fact, name) for name in _SAID}
    if said_more:
        said["selection"] = said_more
    if left_out:
        said["more_tasks"] = left_out
    return fact, orjson.dumps(said)


_SAID = ("worker", "host", "pid", "machine", "lease_ms", "slots", "queues", "tasks")


def bounded(tasks: Iterable[str]) -> tuple[tuple[str, ...], int]:
    """The names in order as far as the limit reaches, and how many there are beyond it."""
    names = sorted(tasks)
    chars = 0
    for count, name in enumerate(names):
        chars += len(name)
        if chars > WORKER_TASKS_CHARS_MAX:
            return tuple(names[:count]), len(names) - count
    return tuple(names), 0
