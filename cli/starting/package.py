"""Write the files of a new package: none appears in its place before all of them are written."""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Final

from ..shared.encoding import shown_name
from ..shared.failures import BadInput

# The path of each new file and the template of its text; `NAME` stands for the name of the package.
FILES: Final = {
    "NAME/__init__.py": "init.py",
    "NAME/tasks.py": "tasks.py",
    "NAME/__main__.py": "main.py",
    "tests/test_tasks.py": "test_tasks.py",
    "README.md": "README.md",
    "pyproject.toml": "pyproject.toml",
    "deploy/NAME-worker.service": "worker.service",
    "Dockerfile": "Dockerfile",
    "compose.yaml": "compose.yaml",
    ".dockerignore": "dockerignore",
    ".gitignore": "gitignore",
}


def check_place(place: Path) -> None:
    """Raise `BadInput` unless `place` is an empty directory, or is free and its parent is a directory."""
    shown = shown_name(str(place))
    if place.is_dir():
        inside = sorted(each.name for each in place.iterdir())
        if inside:
            listed = ", ".join(inside[:3]) + (" …" if len(inside) > 3 else "")
            raise BadInput(
                f"the directory {shown} is not empty (it has {listed}); name another one, or move its files away"
            )
    elif place.exists() or place.is_symlink():
        raise BadInput(f"{shown} is there already, and is no directory; name another place")
    elif not place.parent.is_dir():
        parent = shown_name(str(place.parent))
        raise BadInput(f"there is no directory {parent} to make {place.name} in; make it first: mkdir -p {parent}")


def write_package(name: str, place: Path) -> list[str]:
    """Write the files of the package `name` into the directory `place`; return their paths, relative to `place`."""
    check_place(place)
    unfinished = (place if place.is_dir() else place.parent) / f".{name}.{os.getpid()}"
    try:
        unfinished.mkdir()
        for path, text in _texts(name, place):
            target = unfinished / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        _move(unfinished, place)
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadInput(f"{shown_name(str(place))} cannot be written: {reason}; name another place") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return [path.replace("NAME", name) for path in FILES]


def _move(made: Path, place: Path) -> None:
    """Move the directory `made` to `place`. If that exists, move the files into it: a shell may stand in it."""
    if not place.is_dir():
        made.replace(place)
        return
    for each in made.iterdir():
        each.replace(place / each.name)


def _texts(name: str, place: Path) -> Iterator[tuple[str, str]]:
    directory = place.absolute()
    said = {
        "name": name,
        "version": version("journeyman"),
        "python": _in_quotes(sys.executable),
        "directory": _in_unit(str(directory)),
    }
    template = files(__package__).joinpath("template")
    for path, source in FILES.items():
        text = template.joinpath(f"{source}.template").read_text(encoding="utf-8")
        yield path.replace("NAME", name), _filled(text, said)


def _filled(text: str, said: Mapping[str, str]) -> str:
    for word, value in said.items():
        text = text.replace(f"{{{{{word}}}}}", value)
    return text


def _in_quotes(path: str) -> str:
    """Escape a path for a quoted word of a command in a systemd unit, such as `ExecStart`."""
    return _in_unit(path).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")


def _in_unit(path: str) -> str:
    """Escape a path for a systemd unit, where % begins a specifier."""
    return path.replace("%", "%%")
