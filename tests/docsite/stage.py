"""Write the pages of the site: those of `docs/`, documents from elsewhere, source files that they link to, reference.

The pages of `docs/` are read on a code host too. So their links lead to files of the repository, and the state diagram
of tasks is Mermaid, which a site can only draw with a script from another host. Both are replaced here.
"""

import os
import re
import shutil
import tomllib
from pathlib import Path
from typing import Final

from . import reference
from .paths import CONFIGURATION, DOCS, ELSEWHERE, ROOT

_LINK: Final = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")
_MERMAID: Final = re.compile(r"```mermaid\n.*?```", re.DOTALL)
_DRAWING_OF_STATES: Final = "![The states of a task and the events between them](images/task-states.svg)"
_LANGUAGES: Final = {".py": "python", ".yml": "yaml", ".yaml": "yaml", ".mjs": "javascript", ".sh": "bash"}


class BrokenLink(Exception):
    """A document links to a file that the repository does not have."""


def stage(build: Path) -> None:
    """Write the configuration and all pages into an empty directory `build`."""
    pages = build / "pages"
    shutil.copytree(DOCS, pages)
    shutil.copy(CONFIGURATION, build / "zensical.toml")
    sources: set[Path] = set()
    for path in sorted(DOCS.glob("*.md")):
        (pages / path.name).write_text(_staged(path, path.name, sources), encoding="utf-8")
    for source, name in ELSEWHERE.items():
        (pages / name).write_text(_staged(ROOT / source, name, sources), encoding="utf-8")
    for path in sorted(sources):
        _write_source(path, pages)
    reference.write(pages / "reference")
    _copy_package(build / "packages" / "journeyman")


def _copy_package(target: Path) -> None:
    """Copy the modules of the product alone: tests and environments stand beside them in the repository."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for package in declared["tool"]["setuptools"]["packages"]:
        room = Path(*package.split(".")[1:])
        (target / room).mkdir(parents=True, exist_ok=True)
        for module in (ROOT / room).glob("*.py"):
            shutil.copy(module, target / room)


def _staged(source: Path, name: str, sources: set[Path]) -> str:
    """Return a document's text as the page `name`; the files to which it links are added to `sources`."""

    def moved(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(source.parent / link[1]))
        if not target.exists():
            raise BrokenLink(f"{source.relative_to(ROOT)} links to {link[1]}, which does not exist; mend the link")
        page = _page_of(target)
        if page is None:
            sources.add(target)
            page = f"files/{target.relative_to(ROOT).as_posix()}.md"
        return os.path.relpath(page, Path(name).parent) + (link[2] or "")

    text = _LINK.sub(moved, source.read_text(encoding="utf-8"))
    return _MERMAID.sub(_DRAWING_OF_STATES, text)


def _page_of(target: Path) -> str | None:
    """The page or picture of the site that shows a file of the repository, if it is one of the documents."""
    if target.is_relative_to(DOCS) and target.is_file():
        return target.relative_to(DOCS).as_posix()
    if target == DOCS or target == ROOT / "README.md":
        return "index.md"
    return ELSEWHERE.get(target.relative_to(ROOT).as_posix())


def _write_source(path: Path, pages: Path) -> None:
    """Write the page of a source file: its text; of a directory the names of its files, each with its text."""
    name = path.relative_to(ROOT).as_posix()
    page = pages / "files" / f"{name}.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    files = sorted(each for each in path.rglob("*") if each.suffix in _LANGUAGES) if path.is_dir() else [path]
    parts = [f"# `{name}`\n"]
    for each in files:
        if path.is_dir():
            parts.append(f"## `{each.relative_to(path).as_posix()}`\n")
        parts.append(f"``````{_LANGUAGES.get(each.suffix, 'text')}\n{each.read_text(encoding='utf-8')}``````\n")
    page.write_text("\n".join(parts), encoding="utf-8")
