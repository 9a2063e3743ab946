"""Compute facts about a file of the standard library: pure computations of real, uneven cost."""

import ast
import hashlib
import io
import re
import sysconfig
import threading
import tokenize
import warnings
from pathlib import Path
from typing import Any, Final

# What people install there is not the standard library.
_NOT_OURS: Final = frozenset({"site-packages", "dist-packages", "__pycache__"})
# Compiling for its syntax tree warns of things such as "\d" in a plain string: not this program's to fix.
_PARSED: Final = "<file of the standard library>"
warnings.filterwarnings("ignore", module=re.escape(_PARSED))

# CPython before 3.11.8 counts the depth of a syntax tree for all threads together: of two threads that make theirs at a
# time one fails with a SystemError, if a garbage collection lets the other run (CPython's issue 106905).
_parsing: Final = threading.Lock()

Facts = dict[str, Any]


def library_root() -> Path:
    """Where this Python keeps its standard library."""
    return Path(sysconfig.get_path("stdlib"))


def library_files(root: Path) -> list[str]:
    """All `.py` files below `root`, as paths relative to it, in a fixed order."""
    found = (path.relative_to(root) for path in root.rglob("*.py"))
    return sorted(path.as_posix() for path in found if _NOT_OURS.isdisjoint(path.parts))


def examine(path: Path) -> Facts:
    """Bytes, lines, tokens, functions and classes of a Python file, and its SHA-256.

    What a file does not allow is None and named in `problems`: the library's own tests hold files that no Python can
    read. The same file gives the same facts in every process.
    """
    problems: list[str] = []
    try:
        data = path.read_bytes()
    except OSError as error:
        return {"problems": [type(error).__name__]}
    tokens = _tokens(data, problems)
    functions, classes = _definitions(data, problems)
    return {
        "bytes": len(data),
        "lines": len(data.splitlines()),
        "tokens": tokens,
        "functions": functions,
        "classes": classes,
        "sha256": hashlib.sha256(data).hexdigest(),
        "problems": problems,
    }


def _tokens(data: bytes, problems: list[str]) -> int | None:
    try:
        return sum(1 for _ in tokenize.tokenize(io.BytesIO(data).readline))
    except (SyntaxError, tokenize.TokenError, UnicodeDecodeError) as error:
        problems.append(f"tokens: {type(error).__name__}")
        return None


def _definitions(data: bytes, problems: list[str]) -> tuple[int | None, int | None]:
    """How many functions and classes are defined, at whatever depth."""
    try:
        with _parsing:
            tree = ast.parse(data, filename=_PARSED)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        problems.append(f"syntax: {type(error).__name__}")
        return None, None
    functions = classes = 0
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            functions += 1
        elif isinstance(node, ast.ClassDef):
            classes += 1
        for block in _BLOCKS:  # definitions stand in blocks of statements only: expressions need not be searched
            waiting += getattr(node, block, ()) if not isinstance(node, ast.expr) else ()
    return functions, classes


_BLOCKS: Final = ("body", "orelse", "finalbody", "handlers", "cases")
