"""Name a function for the log: `module:qualname`, the same in each process that imports it."""

import asyncio
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

_SCRIPTS: Final = ("__main__", "__mp_main__")


def function_name(function: object) -> str:
    """Return `module:qualname` of a function; empty for an object without a name, such as a `functools.partial`."""
    module, place = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(place, str):
        return ""
    return f"{_importable(module) if module in _SCRIPTS else module}:{place}"


def beside(function: str, name: str) -> str:
    """Return the function called `name` in the same place as `function`; empty if the place is unknown."""
    module, colon, place = function.partition(":")
    scope, dot, _ = place.rpartition(".")
    return f"{module}:{scope}{dot}{name}" if colon else ""


def last_name(function: str) -> str:
    """Return the name of the function, without module and scope: the default name of a task."""
    return function.partition(":")[2].rpartition(".")[2]


def _importable(script: str) -> str:
    """Return the name by which another program imports the started script; its own name if it has no file."""
    module = sys.modules.get(script)
    spec = getattr(module, "__spec__", None)
    if spec is not None:
        return str(spec.name)
    file = getattr(module, "__file__", None)
    if not isinstance(file, str):
        return script
    path = Path(file).absolute()
    names = [path.stem]
    for directory in path.parents:
        if not (directory / "__init__.py").exists():
            break
        names.insert(0, directory.name)
    return ".".join(names)


def mark_coroutine_function(task: Callable[..., object]) -> None:
    """Have `inspect` and `asyncio` recognise a callable object as a coroutine function."""
    if hasattr(inspect, "markcoroutinefunction"):  # Python 3.12
        inspect.markcoroutinefunction(task)
    else:
        vars(task)["_is_coroutine"] = getattr(asyncio.coroutines, "_is_coroutine", None)
