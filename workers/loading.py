"""Find the tasks of packages by their names."""

import importlib
import pkgutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from shlex import quote
from types import ModuleType
from typing import Any, Final

from ..tasks.definition import Task
from ..tasks.errors import NoTasksFoundError, TaskNameCollisionError


def tasks_by_name(*packages: str) -> dict[str, Task[Any, Any]]:
    """Import modules or packages with their submodules, and return their tasks by name.

    The current directory is importable. Raises `NoTasksFoundError` if a package does not exist or has no tasks,
    `TaskNameCollisionError` if two different tasks have one name.
    """
    modules = {package: list(_modules(package)) for package in packages}
    for package, own in modules.items():
        if not any(isinstance(value, Task) for module in own for value in vars(module).values()):
            raise NoTasksFoundError(
                f"{package} has no tasks: expected functions decorated with @task(broker) in it or in its submodules"
            )
    return _found_in(module for own in modules.values() for module in own)


def tasks_of_module(module: ModuleType) -> dict[str, Task[Any, Any]]:
    """Return the tasks of one module by name, without its submodules; `NoTasksFoundError` if it has none."""
    tasks = _found_in([module])
    if not tasks:
        raise NoTasksFoundError(
            f"{module.__name__} has no tasks: expected functions decorated with @task(broker) in it"
        )
    return tasks


def by_every_name(tasks: Mapping[str, Task[Any, Any]]) -> dict[str, Task[Any, Any]]:
    """The tasks by their names and aliases; `TaskNameCollisionError` if two of them answer to one."""
    named = dict(tasks)
    for task in tasks.values():
        for name in task.accepts:
            other = named.setdefault(name, task)
            if other is not task:
                raise TaskNameCollisionError(
                    f"{name!r} is an alias of the task {task.name!r}, and the task {other.name!r} answers to it as "
                    "well; take the alias away, or run the two in different workers"
                )
    return named


def tasks_at(homes: Mapping[str, str]) -> dict[str, Task[Any, Any]]:
    """Import the modules of these tasks and return all their tasks by name; `NoTasksFoundError` names a missing one."""
    modules = {module: _with_aliases(_found_in(_modules(module))) for module in sorted(set(homes.values()))}
    for name, module in homes.items():
        if name not in modules[module]:
            raise NoTasksFoundError(
                f"there is no task {name!r} in {module}, from which it was to be imported. Give the worker the name of "
                "the package that holds the task, or use functools.wraps in its decorators"
            )
    beside = {name: task for found in modules.values() for name, task in found.items()}
    return beside | {name: modules[module][name] for name, module in homes.items()}


def _with_aliases(tasks: dict[str, Task[Any, Any]]) -> dict[str, Task[Any, Any]]:
    """Return the tasks by their aliases as well; the worker has checked these for collisions among all its tasks."""
    return {name: task for task in tasks.values() for name in task.accepts} | tasks


def _found_in(modules: Iterable[ModuleType]) -> dict[str, Task[Any, Any]]:
    tasks: dict[str, Task[Any, Any]] = {}
    homes: dict[str, str] = {}
    for module in modules:
        for value in vars(module).values():
            if not isinstance(value, Task):
                continue
            known = tasks.setdefault(value.name, value)
            if known is not value:
                raise TaskNameCollisionError(
                    f"two tasks are called {value.name!r}, in {homes[value.name]} and {module.__name__}; "
                    "give one of them another name: @task(broker, name=…)"
                )
            homes.setdefault(value.name, module.__name__)
            # Prefer the module that defines it: others that import it may have dependencies that it does not need.
            if getattr(value.function, "__module__", None) == module.__name__:
                homes[value.name] = module.__name__
    for name, task in tasks.items():
        task.home = homes[name]
    return tasks


def _modules(package: str) -> Iterator[ModuleType]:
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        root = _imported(package)
    except ModuleNotFoundError as error:
        if error.name is None or not (package == error.name or package.startswith(error.name + ".")):
            raise NoTasksFoundError(f"{package} cannot be imported: it needs {error.name}, which is missing") from error
        raise NoTasksFoundError(f"there is no package or module {package!r}{_hint(package)}") from error
    except (ValueError, TypeError, ImportError) as error:
        raise NoTasksFoundError(
            f"expected the name of a package or module such as shop.tasks, got {package!r}{_hint(package)}: {error}"
        ) from error
    _refuse_project_directory(root, package)
    yield root
    for found in pkgutil.walk_packages(getattr(root, "__path__", ()), root.__name__ + "."):
        if not found.name.endswith(".__main__"):
            try:
                yield _imported(found.name)
            except ModuleNotFoundError as error:
                raise NoTasksFoundError(
                    f"{found.name} cannot be imported: it needs {error.name}, which is missing"
                ) from error


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except SystemExit as error:  # no `Exception`: it would end the process silently, with any status
        raise NoTasksFoundError(
            f"{name} cannot be imported: it calls sys.exit({error.code!r:.80}) on import; call it under "
            "if __name__ == '__main__': only"
        ) from error


def _refuse_project_directory(root: ModuleType, package: str) -> None:
    """Refuse a directory that holds a package of its own name: its modules would get other names than in its code.

    Python imports a directory without `__init__.py` as a namespace package.
    """
    if getattr(root, "__file__", None) is not None:
        return
    for path in map(Path, getattr(root, "__path__", ())):
        if (path / package / "__init__.py").is_file():
            raise NoTasksFoundError(
                f"{package} in {path.parent} is no package: it is the directory that holds the package {package}. "
                f"Start it there, after `cd {quote(path.name)}`"
            )


def _hint(package: str) -> str:
    if "/" in package or package.endswith(".py"):
        return f"; did you mean {package.removesuffix('.py').strip('./').replace('/', '.')}?"
    here = Path.cwd()
    below = _directory_below(here, package)
    if below:
        return f" in {here} or installed, but in {here / below}: start it there, after `cd {quote(below)}`"
    head, _, _ = package.partition(".")
    if here.name == head and _holds(here.parent, package):
        return f" in {here} or installed, but in {here.parent}: start it there, after `cd ..`"
    close = get_close_matches(package, modules_here(), n=1, cutoff=_LIKENESS)
    meant = f"did you mean {close[0]}?" if close else "start it in the directory that holds the package, or install it"
    return f" in {here} or installed; {meant}"


# How alike a name must be that is suggested in place of another one, from 0 to 1.
_LIKENESS: Final = 0.75


def modules_here() -> list[str]:
    """Return the names of the modules and packages in the current directory, and of the modules in these packages."""
    here, names = Path.cwd(), list[str]()
    for found in pkgutil.iter_modules([str(here)]):
        names.append(found.name)
        if found.ispkg:
            names += (f"{found.name}.{each.name}" for each in pkgutil.iter_modules([str(here / found.name)]))
    return names


def _directory_below(directory: Path, package: str) -> str:
    """Return the name of the directory in `directory` that holds the package or module; empty if none does."""
    with suppress(OSError):  # as of a directory that this process may not read
        for below in sorted(directory.iterdir()):
            if _holds(below, package):
                return below.name
    return ""


def _holds(directory: Path, package: str) -> bool:
    held = directory.joinpath(*package.split("."))
    return held.with_name(f"{held.name}.py").is_file() or (held / "__init__.py").is_file()
