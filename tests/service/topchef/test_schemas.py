"""JSON Schemas: every draft, every violation, the place of a defect, and no schema that stops the service."""

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeyman.journal.limits import CONTEXT_DEPTH_MAX
from journeyman.service.limits import TOPCHEF_SCHEMA_BYTES_MAX, TOPCHEF_VIOLATIONS_MAX
from journeyman.service.topchef.complexity import Depths, depths_allowed
from journeyman.service.topchef.schemas import BadSchema, Schemas

DRAFTS = [
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
]
TREE = {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}, "additionalProperties": False}


def branching(count: int) -> dict[str, Any]:
    """A small schema with 2 ** count ways through it."""
    ways = {f"a{n}": {"anyOf": [{"$ref": f"#/definitions/a{n + 1}"}] * 2} for n in range(count)}
    return {"definitions": {**ways, f"a{count}": {"type": "string"}}, "$ref": "#/definitions/a0"}


def growing() -> dict[str, Any]:
    """A schema whose ways double with each level of the value."""
    return {"anyOf": [{"properties": {"a": {"$ref": "#"}, "kind": {"enum": [kind]}}} for kind in (1, 2)]}


def nested(depth: int) -> Any:
    """A value of that depth that fits no alternative of `growing`."""
    value: Any = {"kind": 3}
    for _ in range(depth - 1):
        value = {"a": value, "kind": 3}
    return value


@pytest.mark.parametrize("draft", DRAFTS)
def test_every_draft_is_checked_by_its_own_rules(draft: str) -> None:
    limit = {"maximum": 3, "exclusiveMaximum": True} if draft == DRAFTS[0] else {"exclusiveMaximum": 3}
    schema = {"$schema": draft, "properties": {"n": limit}}
    assert Schemas().violations({"n": 2}, schema) == []
    assert [each.path for each in Schemas().violations({"n": 3}, schema)] == ["$.n"]


def test_schema_without_a_draft_is_one_of_draft_4() -> None:
    assert Schemas().violations(3, {"maximum": 3, "exclusiveMaximum": True})
    with pytest.raises(BadSchema, match="maximum"):
        Schemas().check({"exclusiveMaximum": 3})


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"properties": {"a b": {"type": 7}}}, "$.properties['a b'].type"),
        ({"required": "a"}, "$.required"),
        ({"$schema": "http://example.org/mine"}, "$"),
        ({"pattern": "("}, "$.pattern"),
        ({"$ref": "http://127.0.0.1:1/elsewhere"}, "$"),
        ("text", "$"),
        ({"title": "x" * TOPCHEF_SCHEMA_BYTES_MAX}, "$"),
        (branching(40), "$"),
    ],
)
def test_bad_schema_is_refused_with_its_place(schema: Any, place: str) -> None:
    with pytest.raises(BadSchema) as raised:
        Schemas().check(schema)
    assert raised.value.violation.path == place


def test_violations_have_a_limit() -> None:
    found = Schemas().violations(list(range(1_000)), {"items": {"type": "string"}})
    assert len(found) == TOPCHEF_VIOLATIONS_MAX


def test_recursive_schema_is_checked_at_any_depth() -> None:
    value: Any = {"left": {}, "wrong": 1}
    for _ in range(CONTEXT_DEPTH_MAX - 10):
        value = {"right": value, "left": {}}
    assert len(Schemas().violations(value, TREE)) == 1


def test_ways_through_a_schema_are_counted() -> None:
    assert depths_allowed({"properties": {"a": {"items": {}}}}) == Depths()
    assert depths_allowed(TREE) == Depths()
    assert depths_allowed({"$ref": "#"}) == Depths()
    assert depths_allowed(branching(5)) == Depths()
    assert depths_allowed(branching(16)) == Depths(told=-1)
    assert depths_allowed(branching(40)).checked == -1
    checked, told = depths_allowed(growing())
    assert 5 < told < checked < 30


def test_value_with_too_many_ways_is_answered_in_short() -> None:
    schemas, (checked, told) = Schemas(), depths_allowed(growing())
    assert len(schemas.violations(nested(told), growing())) == 1
    (untold,) = schemas.violations(nested(told + 1), growing())
    assert "does not fit" in untold.message
    (deep,) = schemas.violations(nested(checked + 1), growing())
    assert "too deep" in deep.message


KEYWORDS = st.sampled_from(
    ["allOf", "anyOf", "items", "properties", "additionalProperties", "not", "patternProperties"]
)


@st.composite
def schemas(draw: Any) -> dict[str, Any]:
    """Schemas with references to each other, in circles too."""
    names = [f"s{n}" for n in range(draw(st.integers(1, 5)))]

    def one() -> Any:
        found: dict[str, Any] = {}
        for keyword in draw(st.lists(KEYWORDS, max_size=3)):
            references = [{"$ref": f"#/definitions/{draw(st.sampled_from(names))}"} for _ in range(2)]
            by_name = keyword in ("properties", "patternProperties")
            many = keyword in ("allOf", "anyOf")
            found[keyword] = (
                dict(zip("ab", references, strict=True)) if by_name else references if many else references[0]
            )
        return found or {"type": draw(st.sampled_from(["string", "object"]))}

    return {"definitions": {name: one() for name in names}, **one()}


@given(schema=schemas(), depth=st.integers(1, 12))
def test_answer_about_any_schema_is_that_of_the_checker(schema: dict[str, Any], depth: int) -> None:
    value: Any = {}
    for _ in range(depth):
        value = {"a": value, "c": 1}
    try:
        found = Schemas().violations(value, schema)
    except BadSchema:
        return
    if any("too deep" in each.message for each in found):
        return
    assert bool(found) != jsonschema_rs.Draft4Validator(schema).is_valid(value)
