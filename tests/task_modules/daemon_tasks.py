"""Tasks for workers in processes of their own. Files in a directory show their progress and let them go on."""

import os
import time
from pathlib import Path

import journeyman as jm

YARD = Path(os.environ.get("YARD", "."))
broker = jm.Broker()


@jm.task(broker)
def add(a: int, b: int) -> int:
    """A task like any other; each run leaves a line."""
    mark(f"add {a} {b}")
    return a + b


@jm.task(broker, backoff=None)
def hold(name: str) -> str:
    """Runs until a file says that it may end, and says which process it is."""
    mark(f"hold {name} {os.getpid()}")
    while not (YARD / f"{name}.go").exists():
        time.sleep(0.01)
    return f"{name} in {os.getpid()}"


@jm.task(broker, max_retries=1, backoff=None)
def die(name: str) -> None:
    """Takes its worker with it."""
    mark(f"die {name} {os.getpid()}")
    os._exit(7)


@jm.task(broker, max_retries=3, backoff=jm.ConstantBackoff(700, floor=0))
def stumble(name: str, times: int) -> int:
    """Fails as often as it is told, then succeeds."""
    mark(f"stumble {name}")
    runs = marks(f"stumble {name}")
    if runs <= times:
        raise ValueError(f"stumbled for the {runs}. time")
    return runs


def mark(line: str) -> None:
    """Leave a line that others see at once."""
    descriptor = os.open(YARD / "marks", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


def marks(prefix: str) -> int:
    """How many lines begin so."""
    try:
        lines = (YARD / "marks").read_text().splitlines()
    except FileNotFoundError:
        return 0
    return sum(line == prefix or line.startswith(f"{prefix} ") for line in lines)
