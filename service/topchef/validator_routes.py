"""The routes that check an object against a schema, and a route that echoes its request."""

from typing import Any, Final

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency

from . import meta
from .addresses import AnyRequest
from .bodies import Instance, json_in, read
from .described import ERRORS, READING, with_body
from .errors import violated
from .parts import Answer, TopChef
from .schemas import BadSchema


class Echo(msgspec.Struct):
    """What was sent."""

    data: Any


@get("/validator", opt=READING, responses=ERRORS, sync_to_thread=False)
def describe_validator(request: AnyRequest, topchef: NamedDependency[TopChef]) -> Answer:
    """Say what the validator takes."""
    return topchef.answer(request, {}, meta.VALIDATOR_META)


@post("/validator", opt=READING, status_code=200, operation_class=with_body(meta.INSTANCE), responses=ERRORS)
async def validate(request: AnyRequest, topchef: NamedDependency[TopChef]) -> Answer:
    """Check an object against a schema of any draft; 400 names every violation, or where the schema is bad."""
    asked = await read(request, Instance)
    try:
        found = topchef.changes.schemas.violations(asked.object, asked.schema)
    except BadSchema as error:
        raise violated("`schema` is no JSON Schema: it", [error.violation], "bad-schema") from None
    if found:
        raise violated("the object", found)
    return topchef.answer(request, {"status": "Validation was successful"}, meta.VALIDATOR_META)


@post("/echo", opt=READING, status_code=200, operation_class=with_body(meta.ANYTHING), responses=ERRORS)
async def echo(request: AnyRequest) -> Response[Echo]:
    """Answer with what was sent."""
    return Response(Echo(await json_in(request)))


VALIDATOR_ROUTES: Final = (describe_validator, validate, echo)
