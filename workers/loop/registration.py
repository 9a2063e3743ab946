"""Build the `worker.joined` event: where the worker runs, its tasks, and the queues it serves."""

import os
import socket
from collections.abc import Mapping

import msgspec
import orjson
from msgspec.structs import replace

from ...tasks.state.decoding import FactContext
from ...tasks.state.identity import Accepts
from ...tasks.state.selection import Selection
from ..limits import WORKER_TASKS_CHARS_MAX
from .machine import machine


def joining(
    worker: str, lease_ms: int, accepts: Mapping[str, Accepts] | None, selection: Selection, slots: int
) -> tuple[FactContext, bytes]:
    """Return the context of a `worker.joined`, as the fold reads it and as it is encoded in the log.

    `accepts` are the names the worker can run, with the functions that it has under them, None for any; `selection`
    which of them it claims, `slots` how many tasks it runs at a time. Names beyond the limit are left out and counted.
    """
    known = accepts or {}
    named, left_out = bounded({name: sum(map(len, each.functions)) for name, each in known.items()})
    listed = {name: known[name] for name in named if known[name].functions}
    said_more = selection.said()
    fact = FactContext(
        worker=worker,
        host=socket.gethostname(),
        pid=os.getpid(),
        machine=machine(),
        lease_ms=lease_ms,
        tasks=named if accepts is not None else None,
        more_tasks=left_out,
        queues=selection.queues,
        selection=replace(selection, queues=None) if said_more else None,
        slots=slots,
        accepts=listed,
    )
    said = {name: getattr(fact, name) for name in _SAID}
    if accepts is None:
        del said["tasks"]
    if listed:
        said["accepts"] = msgspec.to_builtins(listed)
    if said_more:
        said["selection"] = said_more
    if left_out:
        said["more_tasks"] = left_out
    return fact, orjson.dumps(said)


_SAID = ("worker", "host", "pid", "machine", "lease_ms", "slots", "queues", "tasks")


def bounded(tasks: Mapping[str, int]) -> tuple[tuple[str, ...], int]:
    """Return the names in order up to the limit, and how many there are beyond it.

    `tasks` are the names, each with the number of characters written beside it.
    """
    names = sorted(tasks)
    chars = 0
    for count, name in enumerate(names):
        chars += len(name) + tasks[name]
        if chars > WORKER_TASKS_CHARS_MAX:
            return tuple(names[:count]), len(names) - count
    return tuple(names), 0
