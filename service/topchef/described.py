"""Describes the routes for OpenAPI: the bodies that they read themselves, and the form of their errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody
from litestar.openapi.spec import Schema as OpenAPISchema

from ..keys import Scope
from ..problems import TITLES
from .errors import Errors

_ERRORS: Final = (400, 401, 403, 404, 405, 409, 412, 413, 421, 429, 500, 503, 504)
ERRORS: Final[Mapping[int, ResponseSpec]] = {
    status: ResponseSpec(Errors, description=TITLES[status], media_type="application/json", generate_examples=False)
    for status in _ERRORS
}
READING: Final = {"scope": Scope.READ}
SUBMITTING: Final = {"scope": Scope.SUBMIT}
WORKING: Final = {"scope": Scope.WORK}
NOTHING: Final = ResponseSpec(None, description="There is none.", generate_examples=False)


def with_body(schema: Mapping[str, Any], *, required: bool = True) -> type[Operation]:
    """Return the class of an operation whose body has this schema; the route reads the body itself."""
    body = RequestBody(content={"application/json": OpenAPIMediaType(schema=_converted(schema))}, required=required)

    @dataclass
    class Described(Operation):
        def __post_init__(self) -> None:
            self.request_body = body

    return Described


def _converted(schema: Mapping[str, Any]) -> OpenAPISchema:
    """Return a schema of `meta` as one of the OpenAPI document."""
    kind = schema.get("type")
    kinds = [OpenAPIType(each) for each in kind] if isinstance(kind, list) else kind and OpenAPIType(kind)
    items, properties = schema.get("items"), schema.get("properties")
    return OpenAPISchema(
        type=kinds,
        title=schema.get("title"),
        description=schema.get("description"),
        enum=schema.get("enum"),
        format=schema.get("format"),
        minimum=schema.get("minimum"),
        maximum=schema.get("maximum"),
        min_length=schema.get("minLength"),
        max_length=schema.get("maxLength"),
        items=None if items is None else _converted(items),
        properties=None if properties is None else {name: _converted(each) for name, each in properties.items()},
        required=schema.get("required"),
    )
