"""JSON Schemas of jobs and results: compiled once, checked without the network, and every violation named.

A schema that does not name its draft by `$schema` is one of draft 4, as in the original.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import jsonschema_rs
import msgspec

from ...journal.depth import is_deeper
from ...journal.event import refuse_deep
from ...journal.limits import CONTEXT_DEPTH_MAX
from ..limits import (
    TOPCHEF_PATTERN_STEPS_MAX,
    TOPCHEF_SCHEMA_BYTES_MAX,
    TOPCHEF_SCHEMAS_KEPT,
    TOPCHEF_VIOLATIONS_MAX,
)
from .complexity import Depths, depths_allowed

Path = Sequence[str | int]
_PATTERNS: Final = jsonschema_rs.FancyRegexOptions(backtrack_limit=TOPCHEF_PATTERN_STEPS_MAX)
_encoder: Final = msgspec.json.Encoder(order="sorted")


class Violation(msgspec.Struct, frozen=True):
    """What does not fit a schema: `path` leads to it from the root of the value, `rule` to what was expected."""

    path: str
    rule: str
    message: str


_UNTOLD: Final = Violation("$", "#", "it does not fit; the schema has too many alternatives for its depth to say where")


class BadSchema(ValueError):
    """A schema is none: `violation` says where."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(f"{violation.path}: {violation.message}")
        self.violation = violation


class _Compiled(NamedTuple):
    """A schema to be used, and how deep its values may be."""

    validator: Any
    depths: Depths


class Schemas:
    """Compiles schemas, and keeps those that were used last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, _Compiled] = OrderedDict()

    def check(self, schema: Any) -> None:
        """Check a schema itself; raise `BadSchema` if it is none."""
        self._validator(encoded(schema))

    def violations(self, value: Any, schema: Any) -> list[Violation]:
        """Return what in `value` does not fit `schema`, decoded or encoded; `BadSchema` if that is none."""
        compiled = self._validator(schema if isinstance(schema, bytes) else encoded(schema))
        text = msgspec.json.encode(value)
        if is_deeper(text, compiled.depths.checked):
            deep = f"it is nested deeper than {compiled.depths.checked} levels, too deep for this schema to be checked"
            return [Violation("$", "#", deep)]
        if is_deeper(text, compiled.depths.told):
            return [] if compiled.validator.is_valid(value) else [_UNTOLD]
        found: list[Violation] = []
        try:
            for error in compiled.validator.iter_errors(value):
                if len(found) == TOPCHEF_VIOLATIONS_MAX:
                    break
                found.append(_violation(error))
        except ValueError as error:  # a number that JSON has and the checker does not
            found.append(Violation("$", "#", str(error)[:500]))
        return found

    def _validator(self, schema: bytes) -> _Compiled:
        kept = self._kept.get(schema)
        if kept is not None:
            self._kept.move_to_end(schema)
            return kept
        made = self._kept[schema] = _compiled(schema)
        if len(self._kept) > TOPCHEF_SCHEMAS_KEPT:
            self._kept.popitem(last=False)
        return made


def encoded(schema: Any) -> bytes:
    """Return a schema as JSON, its keys in order; `BadSchema` if it is too large, too deep, or no schema at all."""
    if not isinstance(schema, dict | bool):
        raise BadSchema(Violation("$", "#/type", f"a schema is an object, got {msgspec.json.encode(schema)[:80]!r}"))
    text = _encoder.encode(schema)
    if len(text) > TOPCHEF_SCHEMA_BYTES_MAX:
        sizes = f"it takes {len(text):,} bytes, the limit is {TOPCHEF_SCHEMA_BYTES_MAX:,}"
        raise BadSchema(Violation("$", "#", sizes))
    try:
        refuse_deep(text, "it", CONTEXT_DEPTH_MAX - 2)
    except ValueError as error:
        raise BadSchema(Violation("$", "#", str(error))) from None
    return text


def _compiled(text: bytes) -> _Compiled:
    schema = msgspec.json.decode(text)
    depths = depths_allowed(schema)
    if depths.checked < 0:
        raise BadSchema(Violation("$", "#", "its references lead through too many alternatives to be checked"))
    names_draft = isinstance(schema, dict) and "$schema" in schema
    make = jsonschema_rs.validator_for if names_draft else jsonschema_rs.Draft4Validator
    try:
        return _Compiled(make(schema, pattern_options=_PATTERNS, offline=True), depths)
    except jsonschema_rs.ValidationError as error:
        raise BadSchema(_violation(error)) from None
    except (jsonschema_rs.ReferencingError, ValueError, TypeError) as error:
        raise BadSchema(Violation("$", "#", str(error)[:500])) from None


def _violation(error: jsonschema_rs.ValidationError) -> Violation:
    pointer = "#" + "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in error.schema_path)
    return Violation(_place(error.instance_path), pointer, str(error.message)[:1_000])


def _place(path: Path) -> str:
    """Return a path as `$.axes[2].name`."""
    return "$" + "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" if part.isidentifier() else f"[{part!r}]" for part in path
    )
