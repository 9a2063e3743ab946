"""The reference of the public names, a page for each room; the docstrings are filled in when the site is built."""

import inspect
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple


class Room(NamedTuple):
    """A page of the reference: the names in `__all__` of `package` whose home is `home` or below it."""

    page: str
    title: str
    package: str
    home: str
    about: str


ROOMS: Final = (
    Room("journal", "The journal", "journeyman", "journeyman.journal", "The log, its events and its cursors."),
    Room(
        "consumers", "Consumers and views", "journeyman", "journeyman.consumers", "What follows a journal and folds it."
    ),
    Room(
        "tasks",
        "Tasks",
        "journeyman",
        "journeyman.tasks",
        "What a program that submits tasks and asks about them uses.",
    ),
    Room("workers", "Workers", "journeyman", "journeyman.workers", "The processes that run tasks."),
    Room("testing", "Testing", "journeyman.testing", "journeyman", "The workbench for tests of tasks."),
    Room("top", "Requests of web servers", "journeyman.top", "journeyman.top", "The names of the Top Framework."),
    Room("topchef", "TopChef", "journeyman.topchef", "journeyman.topchef", "The names of TopChef's client, and more."),
)


# Classes of APScheduler, which `journeyman` hands on: their reference is there.
TRIGGERS: Final = ("CronTrigger", "DateTrigger", "IntervalTrigger")


def write(directory: Path) -> None:
    """Write all pages of the reference."""
    directory.mkdir()
    for room in ROOMS:
        (directory / f"{room.page}.md").write_text(page(room), encoding="utf-8")


def page(room: Room) -> str:
    """A page of one room: its classes and functions, then its errors; a directive for each name."""
    names = public_names(room)
    errors = [name for name in names if _is_error(getattr(import_module(room.package), name))]
    others = [name for name in names if name not in errors]
    parts = [f"# {room.title}\n\n{room.about} Import these names from `{room.package}`.\n"]
    parts += _directives(room.package, others)
    if errors:
        parts.append("## Errors\n")
        parts += _directives(room.package, errors)
    return "\n".join(parts)


def public_names(room: Room) -> list[str]:
    """The names that this page shows, in the order of `__all__`."""
    package = import_module(room.package)
    names = [name for name in package.__all__ if name not in TRIGGERS]
    return [name for name in names if _is_below(_home(package, name), room.home)]


def _home(package: object, name: str) -> str:
    """The module in which a public name is defined; of a constant the room whose `__all__` has it."""
    found = getattr(package, name)
    if inspect.isclass(found) or inspect.isfunction(found):
        return found.__module__
    return next(
        f"journeyman.{room}"
        for room in ("journal", "consumers", "tasks", "workers")
        if name in import_module(f"journeyman.{room}").__all__
    )


def _is_below(module: str, home: str) -> bool:
    return module == home or module.startswith(home + ".")


def _is_error(found: object) -> bool:
    return inspect.isclass(found) and issubclass(found, BaseException)


def _directives(package: str, names: Iterable[str]) -> list[str]:
    return [f"::: {package}.{name}\n" for name in names]
