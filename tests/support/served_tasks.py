"""Tasks for the tests of the service, and a worker that runs them."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import journeyman as jm
from support.workers import working

_broker = jm.Broker("memory://")


class Gate:
    """Holds the task `hold` back until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def hold(self, steps: int, message: jm.Message) -> int:
        """Report each step, then wait for the gate."""
        for step in range(1, steps + 1):
            message.progress(step, steps, "counting")
        message.emit({"last": steps})
        assert self.opened.wait(60.0)
        return steps


def _add(a: int, b: int) -> int:
    return a + b


def _paint(colour: str) -> None:
    raise ValueError(f"no such colour: {colour}")


def _count(message: jm.Message) -> Any:
    return message.previous_result


def tasks(gate: Gate) -> Mapping[str, jm.Task[Any, Any]]:
    """The tasks by name."""
    functions: dict[str, Callable[..., Any]] = {"add": _add, "paint": _paint, "hold": gate.hold, "count": _count}
    return {name: jm.Task(function, _broker, name, backoff=None) for name, function in functions.items()}


@contextmanager
def worker_of(url: str) -> Iterator[Gate]:
    """Run a worker of these tasks on the journal `url`; its gate is opened at the end."""
    gate = Gate()
    with working(tasks(gate), url):
        try:
            yield gate
        finally:
            gate.opened.set()
