"""Each function, class and constant of the product is used somewhere in it, or shown to users."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from .source import ROOT, assigned, modules, pages, trees

# Definitions that other programs call, or that are there for code to come.
CALLED_BY: Final = {
    "journal/http/requests.py on_body": "the client of HTTP",
    "service/connections.py to_asgi_response": "Litestar",
    "tasks/backoff.py settings_to_backoff": "programs: the reference spells it settings2backoff",
    "tasks/metrics/table.py PROCESS_METRICS": "the page on metrics, which is held against it",
    "tasks/tracing.py trace_in": "requests that carry a trace",
    "testing/plugin.py pytest_addoption": "pytest",
}

# Bases of the language itself; of another one that is not ours, a library calls the methods by their names.
PLAIN_BASES: Final = frozenset(
    {"ABC", "Enum", "Exception", "Generic", "IntEnum", "NamedTuple", "Protocol", "RuntimeError", "StrEnum", "Struct"}
    | {"TimeoutError", "TypedDict", "ValueError", "dict", "list", "local", "str", "tuple"}
)


def definitions() -> Iterator[tuple[str, str]]:
    """Each definition that no decorator registers, with its module; the tests of the conformance suite are run."""
    ours = {node.name for tree in trees().values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    for path, tree in trees().items():
        of_libraries = {
            method
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef) and not {base_name(base) for base in node.bases} <= ours | PLAIN_BASES
            for method in node.body
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                registered = any(isinstance(each, ast.Call) for each in node.decorator_list)
                if not registered and not node.name.startswith(("__", "test_")) and node not in of_libraries:
                    yield path, node.name
        for node in tree.body:
            name = assigned(node)
            if name and not name.startswith("__"):
                yield path, name


def base_name(base: ast.expr) -> str:
    """The last part of the name of a base class, without its parameters."""
    if isinstance(base, ast.Subscript):
        return base_name(base.value)
    return base.attr if isinstance(base, ast.Attribute) else base.id if isinstance(base, ast.Name) else ""


def test_every_definition_is_used() -> None:
    places = list(definitions())
    times_defined = Counter(name for _, name in places)
    root = [(ROOT / name).read_text(encoding="utf-8") for name in ("__init__.py", "lazy.py", "pyproject.toml")]
    words = Counter(re.findall(r"\w+", "\n".join([*modules().values(), *root])))
    shown = set(re.findall(r"\w+", pages()))
    unused = [f"{path} {name}" for path, name in places if words[name] <= times_defined[name] and name not in shown]
    dead = [place for place in unused if place not in CALLED_BY]
    assert not dead, f"remove what neither the product nor a page uses: {dead}"
    gone = [place for place in CALLED_BY if tuple(place.split()) not in places]
    assert not gone, f"these are gone; take them from CALLED_BY: {gone}"
