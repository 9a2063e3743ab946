"""Plant a mutant in a running process: the function that holds the bug gets the code of the mutated text."""

import ast
import gc
from pathlib import Path
from types import CodeType, FunctionType
from typing import Final

from .mutants import Mutant, planted


class NotSwappedError(Exception):
    """The bug is in no function, or in one that this process has not made, or changes what the function closes over."""


class Swaps:
    """The functions of the modules that this process has imported, by the place of their definition."""

    def __init__(self, root: Path) -> None:
        self._root: Final = root
        self._functions: Final[dict[tuple[str, int], list[FunctionType]]] = {}
        for each in gc.get_objects():
            if isinstance(each, FunctionType):
                code = each.__code__
                self._functions.setdefault((code.co_filename, code.co_firstlineno), []).append(each)

    def plant(self, mutant: Mutant) -> None:
        """Give the mutated code to each function that was made from the definition around the bug."""
        path = self._root / mutant.path
        name, number, line = _definition(ast.parse(path.read_text(encoding="utf-8")), mutant.line)
        text = planted(mutant, self._root)
        code = _codes(compile(text, str(path), "exec", dont_inherit=True), name)[number]
        functions = self._functions.get((str(path), line), [])
        if not functions:
            raise NotSwappedError(f"{mutant.path}:{line}: no function was made from this definition")
        for function in functions:
            try:
                function.__code__ = code
            except ValueError as error:
                raise NotSwappedError(str(error)) from error


def _definition(tree: ast.Module, line: int) -> tuple[str, int, int]:
    """The outermost function around a line: its qualified name, its number among those of that name, its first line."""
    seen: dict[str, int] = {}
    nodes: list[tuple[ast.stmt, str]] = [(node, "") for node in tree.body]
    while nodes:
        node, inside = nodes.pop(0)
        if isinstance(node, ast.ClassDef):
            nodes[:0] = [(each, f"{inside}{node.name}.") for each in node.body]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            name, first = inside + node.name, min(each.lineno for each in (node, *node.decorator_list))
            number = seen[name] = seen.get(name, -1) + 1
            if first <= line <= (node.end_lineno or line):
                return name, number, first
    raise NotSwappedError(f"line {line} is in no function")


def _codes(code: CodeType, name: str) -> list[CodeType]:
    """The code objects of the functions of that name, in order; nested functions are part of the outer one's code."""
    found = []
    for each in code.co_consts:
        if isinstance(each, CodeType):
            if each.co_qualname == name:
                found.append(each)
            elif name.startswith(f"{each.co_qualname}."):
                found += _codes(each, name)
    return found


def statement(tree: ast.Module, line: int) -> range:
    """The lines of the innermost statement around a line; of a statement with a body, the lines before the body."""
    found = range(line, line + 1)
    for node in ast.walk(tree):  # outer statements come before inner ones
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or line):
            body = getattr(node, "body", None)
            end = body[0].lineno if body else (node.end_lineno or line) + 1
            found = range(node.lineno, max(end, node.lineno + 1))
    return found
