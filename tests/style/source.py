"""The text of the product, its trees, and the pages of the documentation: what the checks of style look at."""

import ast
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
ROOMS: Final = (
    "journal",
    "consumers",
    "tasks",
    "topchef",
    "workers",
    "service",
    "tui",
    "testing",
    "cli",
    "demo",
    "deploy",
)


@cache
def modules() -> dict[str, str]:
    """The text of each module, by its path from the root."""
    paths = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


@cache
def trees() -> dict[str, ast.Module]:
    """The syntax tree of each module, by its path."""
    return {path: ast.parse(text) for path, text in modules().items()}


@cache
def pages() -> str:
    """The readme and all pages."""
    return "".join(path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def assigned(node: ast.stmt) -> str:
    """The name to which a statement assigns; empty if it does not assign to one."""
    target: ast.expr | None = node.target if isinstance(node, ast.AnnAssign) else None
    if isinstance(node, ast.Assign):
        target = node.targets[0]
    return target.id if isinstance(target, ast.Name) else ""
