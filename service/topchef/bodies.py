"""The bodies of requests: the JSON and the needed fields are checked strictly, unknown fields are ignored."""

from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Request
from msgspec import UNSET, Meta, UnsetType

from ...journal.event import refuse_deep
from ...journal.limits import CONTEXT_DEPTH_MAX
from ...tasks.limits import LEASE_MS_DEFAULT, LEASE_MS_MAX, LEASE_MS_MIN
from ..limits import (
    TOPCHEF_CLAIM_SECONDS_MAX,
    TOPCHEF_LISTENER_CHARS_MAX,
    TOPCHEF_TEXT_CHARS_MAX,
    TOPCHEF_TIMEOUT_SECONDS_MAX,
)
from .errors import refused

Body = TypeVar("Body", bound=msgspec.Struct)
Text = Annotated[str, Meta(max_length=TOPCHEF_TEXT_CHARS_MAX)]
Name = Annotated[str, Meta(min_length=1, max_length=TOPCHEF_TEXT_CHARS_MAX)]
ListenerId = Annotated[str, Meta(min_length=1, max_length=TOPCHEF_LISTENER_CHARS_MAX)]
Schema = dict[str, Any] | bool
AnyRequest = Request[Any, Any, Any]


class NewService(msgspec.Struct):
    """A service to be registered: the schema of its jobs' parameters, and that of their results."""

    name: Name
    description: Text
    job_registration_schema: Schema
    job_result_schema: Schema = msgspec.field(default_factory=lambda: {"type": "object"})


class ServiceChange(msgspec.Struct):
    """What to change of a service; null leaves a field as it is. `timeout` is in seconds."""

    name: Name | None = None
    description: Text | None = None
    is_available: bool | None = None
    is_service_available: bool | None = None
    timeout: Annotated[float, Meta(ge=0, le=TOPCHEF_TIMEOUT_SECONDS_MAX)] | None = None


class NewJob(msgspec.Struct):
    """A job to be done, with its parameters."""

    parameters: dict[str, Any]


class JobError(msgspec.Struct):
    """Why a job has failed."""

    name: Annotated[str, Meta(max_length=500)] = "JobError"
    text: Annotated[str, Meta(max_length=TOPCHEF_TEXT_CHARS_MAX)] = ""
    traceback: Annotated[str, Meta(max_length=100_000)] = ""


class JobChange(msgspec.Struct):
    """What to change of a job; null leaves a field as it is. `error` says why a job has failed."""

    status: Annotated[str, Meta(max_length=100)] | None = None
    results: Any = None
    result: Any = UNSET
    error: JobError | Annotated[str, Meta(max_length=TOPCHEF_TEXT_CHARS_MAX)] | None = None


class Instance(msgspec.Struct):
    """An object, and the schema that it is to fit."""

    object: dict[str, Any]
    schema: dict[str, Any]


class Claim(msgspec.Struct):
    """A listener asks for a job, for at most `wait` seconds.

    `holding` are the jobs that it knows it holds: others that it holds are handed out again. `lease_ms` is how long it
    may be silent.
    """

    listener: ListenerId
    wait: Annotated[float, Meta(ge=0, le=TOPCHEF_CLAIM_SECONDS_MAX)] = 0.0
    holding: Annotated[tuple[Annotated[str, Meta(max_length=200)], ...], Meta(max_length=1_000)] = ()
    lease_ms: Annotated[int, Meta(ge=LEASE_MS_MIN, le=LEASE_MS_MAX)] = LEASE_MS_DEFAULT


async def json_in(request: AnyRequest) -> Any:
    """Return the decoded body, whatever its content type; `Problem` 400 if it is no JSON."""
    body = await request.body()
    try:
        refuse_deep(body, "the body", CONTEXT_DEPTH_MAX - 2)
        return msgspec.json.decode(body)
    except (ValueError, RecursionError) as error:
        said = str(error) if body else "it is empty"
        raise refused("request-not-json", f"the request body is not JSON: {said}") from None


async def read(request: AnyRequest, kind: type[Body]) -> Body:
    """Return the body as `kind`; `Problem` 400 if it is no JSON, or lacks what is needed."""
    return converted(await json_in(request), kind)


def converted(given: Any, kind: type[Body]) -> Body:
    """Return decoded JSON as `kind`; `Problem` 400 says which field does not fit."""
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise refused("deserialization", str(error)) from None


def result_in(change: JobChange) -> Any:
    """Return the result that a change brings; `UNSET` for none: the older dialect sends `{}` along until there is one.

    Where both keys stand there, the older one wins, since its client echoes the newer one as it was.
    """
    if not isinstance(change.result, UnsetType) and change.result not in (None, {}):
        return change.result
    if change.results is None:
        return UNSET
    stale = change.results == {} and not isinstance(change.result, UnsetType)
    return UNSET if stale else change.results
