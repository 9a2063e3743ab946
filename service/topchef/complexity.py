"""Limits how deeply nested a value may be for a schema, so that the time to validate it stays bounded. Pure.

A validator follows every path through a schema, and paths multiply: two references in one `anyOf` double the work, and
double it again at each reference behind them, or at each level of the value if the schema is recursive. So the paths
are counted before a schema is used, as a function of the value's depth. Above `TOPCHEF_SCHEMA_WAYS_TOLD_MAX` paths, an
answer says only that a value does not fit, without the violations; above `TOPCHEF_SCHEMA_WAYS_MAX`, the value is
refused, or the schema itself.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from ...journal.limits import CONTEXT_DEPTH_MAX
from ..limits import TOPCHEF_SCHEMA_STEPS_MAX, TOPCHEF_SCHEMA_WAYS_MAX, TOPCHEF_SCHEMA_WAYS_TOLD_MAX

# Keywords whose schemas apply to the same value: one schema, a list of them, or some by name.
_SAME: Final = frozenset({
    "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies", "extends", "disallow",
})  # fmt: skip
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
# Keywords whose schemas apply to each of the value's parts, and to one part by its name or number.
_EACH: Final = frozenset({
    "additionalItems", "additionalProperties", "unevaluatedItems", "unevaluatedProperties", "contains", "items",
    "propertyNames", "patternProperties",
})  # fmt: skip
_NAMED: Final = frozenset({"properties", "prefixItems"})
_SCHEMAS: Final = _SAME | _EACH | _NAMED
_BY_NAME: Final = frozenset({"properties", "patternProperties", "dependentSchemas", "dependencies"})


class _Node(NamedTuple):
    """A schema: those that apply to the same value, to each of its parts, and to one part each."""

    same: list[int]
    each: list[int]
    named: list[int]


class _Reader:
    """Reads the schemas of a document that can be reached from its root."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._numbers: dict[int, int] = {}
        self._anchors: dict[str, Any] = {}
        self.nodes: list[_Node] = []
        self._note_anchors(root)
        waiting = [root]
        self._number(root, waiting)
        while waiting:
            schema = waiting.pop()
            node = self.nodes[self._numbers[id(schema)]]
            for keyword, value in schema.items():
                self._read(node, keyword, value, waiting)

    def _note_anchors(self, schema: Any) -> None:
        waiting = [schema]
        while waiting:
            found = waiting.pop()
            if isinstance(found, Mapping):
                for name in ("$id", "id", "$anchor", "$dynamicAnchor"):
                    if isinstance(found.get(name), str):
                        self._anchors[found[name].rpartition("#")[2] if "#" in found[name] else found[name]] = found
                waiting.extend(found.values())
            elif isinstance(found, list):
                waiting.extend(found)

    def _read(self, node: _Node, keyword: str, value: Any, waiting: list[Any]) -> None:
        if keyword in _REFERENCES and isinstance(value, str):
            target = self._target(value)
            node.same.extend(self._number(target, waiting))
            return
        place = node.same if keyword in _SAME else node.each if keyword in _EACH else node.named
        if keyword in _SCHEMAS:
            for schema in _schemas(value, by_name=keyword in _BY_NAME):
                place.extend(self._number(schema, waiting))

    def _number(self, schema: Any, waiting: list[Any]) -> list[int]:
        if not isinstance(schema, dict):
            return []
        number = self._numbers.get(id(schema))
        if number is None:
            number = self._numbers[id(schema)] = len(self.nodes)
            self.nodes.append(_Node([], [], []))
            if schema is not self._root or number:
                waiting.append(schema)
        return [number]

    def _target(self, reference: str) -> Any:
        """Return what a reference leads to; the root if it is elsewhere, as the worst that it can be."""
        base, _, fragment = reference.partition("#")
        start = self._anchors.get(base, self._root) if base else self._root
        if fragment and not fragment.startswith("/"):
            return self._anchors.get(fragment, self._root)
        for part in unquote(fragment).split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(start, list) and name.isdigit() and int(name) < len(start):
                start = start[int(name)]
            elif isinstance(start, dict) and name in start:
                start = start[name]
            else:
                return self._root
        return start


def _schemas(value: Any, *, by_name: bool) -> Iterator[Any]:
    if isinstance(value, list):
        yield from value
    elif isinstance(value, dict):
        yield from value.values() if by_name else (value,)


class Depths(NamedTuple):
    """How deep a value may be for a schema: to be `checked` at all, and to have all violations `told`; -1 for none."""

    checked: int = CONTEXT_DEPTH_MAX
    told: int = CONTEXT_DEPTH_MAX


def depths_allowed(schema: Any) -> Depths:
    """Return how deep a value may be for this schema."""
    if not isinstance(schema, dict):
        return Depths()
    nodes = _Reader(schema).nodes
    ways: dict[int, int] = defaultdict(int)  # of the level below: of values without parts there is none
    order = _order(nodes)
    levels = min(CONTEXT_DEPTH_MAX, TOPCHEF_SCHEMA_STEPS_MAX // len(nodes))
    told = levels
    for depth in range(levels + 1):
        now: dict[int, int] = {}
        for number in order:
            node = nodes[number]
            below = sum(ways[each] for each in node.each) + max((ways[each] for each in node.named), default=0)
            now[number] = 1 + sum(now.get(each, 0) for each in node.same) + below
        if now[0] > TOPCHEF_SCHEMA_WAYS_TOLD_MAX:
            told = min(told, depth - 1)
        if now[0] > TOPCHEF_SCHEMA_WAYS_MAX:
            return Depths(depth - 1, told)
        if now == ways:
            return Depths(told=CONTEXT_DEPTH_MAX if told == levels else told)
        ways = defaultdict(int, now)
    return Depths(levels, told)


def _order(nodes: list[_Node]) -> list[int]:
    """Return the schemas, those that apply to the same value before the one that names them; circles end."""
    done: set[int] = set()
    order: list[int] = []
    for root in range(len(nodes)):
        path = [(root, iter(nodes[root].same))] if root not in done else []
        done.add(root)
        while path:
            number, rest = path[-1]
            following = next((each for each in rest if each not in done), None)
            if following is None:
                order.append(number)
                path.pop()
            else:
                done.add(following)
                path.append((following, iter(nodes[following].same)))
    return order
