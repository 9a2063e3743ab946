"""Mutants: small bugs, one condition or one statement each, planted into the text of a module."""

import ast
import copy
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

_OPPOSITE: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {ast.Add: ast.Sub, ast.Sub: ast.Add}
# Text for people, which no code reads.
_TOLD: Final = ("logger", "warnings", "print")


class Mutant(NamedTuple):
    """A bug, the module's change number `number`; `name` says where and which, and stays the same as lines move."""

    path: str
    name: str
    line: int
    number: int


def mutants_of(path: Path, root: Path) -> list[Mutant]:
    """All mutants of a module, in the order of its lines."""
    relative, seen, found = str(path.relative_to(root)), Counter[str](), []
    for number, (where, node, changed) in enumerate(_changes(ast.parse(path.read_text(encoding="utf-8")), "")):
        name = f"{relative}: {where}: {_brief(node)} -> {_brief(changed)}"
        seen[name] += 1
        if seen[name] > 1:
            name = f"{name} ({seen[name]})"
        found.append(Mutant(relative, name, getattr(node, "lineno", 0), number))
    return found


def planted(mutant: Mutant, root: Path) -> str:
    """The text of the module with the bug in it."""
    tree = ast.parse((root / mutant.path).read_text(encoding="utf-8"))
    _, node, changed = next(change for number, change in enumerate(_changes(tree, "")) if number == mutant.number)

    class Swap(ast.NodeTransformer):
        def visit(self, each: ast.AST) -> ast.AST:
            return changed if each is node else self.generic_visit(each)

    return ast.unparse(ast.fix_missing_locations(Swap().visit(tree)))


def _brief(node: ast.AST) -> str:
    if isinstance(node, ast.If):  # by its condition, since its body is long
        node = ast.If(node.test, [ast.Pass()], [])
    return " ".join(ast.unparse(node).split())[:90]


def _changes(node: ast.AST, where: str) -> Iterator[tuple[str, ast.AST, ast.AST]]:
    """The name of the function, what stands there, and what could stand there instead."""
    for child in ast.iter_child_nodes(node):
        inside = where
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            inside = f"{where}.{child.name}" if where else child.name
        if _is_aside(child):
            continue
        if inside:
            for change in _CHANGES:
                yield from ((inside, child, changed) for changed in change(child))
        yield from _changes(child, inside)


def _is_aside(node: ast.AST) -> bool:
    """Whether a change there would change nothing that a program does: annotations, docstrings, assertions, logs."""
    if isinstance(node, ast.Assert | ast.arguments | ast.Import | ast.ImportFrom | ast.AnnAssign):
        return True
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return True
    if isinstance(node, ast.Expr):
        if isinstance(node.value, ast.Constant):
            return True
        return isinstance(node.value, ast.Call) and ast.unparse(node.value.func).split(".")[0] in _TOLD
    return False


def _compared(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _OPPOSITE:
        changed = copy.copy(node)
        changed.ops = [_OPPOSITE[type(node.ops[0])]()]
        yield changed


def _joined(node: ast.AST) -> Iterator[ast.AST]:
    """One condition less, or `and` and `or` taken for each other."""
    if isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        for value in node.values:
            rest = [each for each in node.values if each is not value]
            yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand


def _decided(node: ast.AST) -> Iterator[ast.AST]:
    """A branch that is always taken, or never."""
    if isinstance(node, ast.If | ast.IfExp):
        for value in (True, False):
            changed = copy.copy(node)
            changed.test = ast.Constant(value)
            yield changed


def _counted(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        yield ast.BinOp(node.left, _ARITHMETIC[type(node.op)](), node.right)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("min", "max"):
        changed = copy.copy(node)
        changed.func = ast.Name("max" if node.func.id == "min" else "min")
        yield changed
    if isinstance(node, ast.Constant) and type(node.value) is int:
        yield ast.Constant(node.value + 1)


def _left_out(node: ast.AST) -> Iterator[ast.AST]:
    """A statement less: what is done, not what names things for later."""
    kinds = (ast.AugAssign, ast.Raise, ast.Continue, ast.Break, ast.Delete)
    does = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Await)
    sets = isinstance(node, ast.Assign) and not any(isinstance(target, ast.Name | ast.Tuple) for target in node.targets)
    if isinstance(node, kinds) or does or sets:
        yield ast.Pass()


_CHANGES: Final[tuple[Callable[[ast.AST], Iterator[ast.AST]], ...]] = (
    _compared, _joined, _decided, _counted, _left_out,
)  # fmt: skip
