"""Errors in the two forms of TopChef: a list of objects in the newer dialect, a text or an object in the older one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from litestar import Request, Response

from ..problems import Problem, handle, problem_of, told
from .schemas import Violation

_TITLES: Final = {
    "request-not-json": "Request Not JSON",
    "deserialization": "Deserialization Error From Client Data",
    "json-schema": "JSONSchema Validation Error",
    "bad-schema": "JSONSchema Validation Error",
    "service-not-found": "Service Not Found",
    "job-not-found": "Job Not Found",
    "not-uuid": "Not UUID Error",
    "method-not-allowed": "Method Not Allowed",
}


class ErrorEntry(msgspec.Struct, omit_defaults=True):
    """One error; of a violation `path` leads to the place in the value, and `rule` to the rule in its schema."""

    status_code: int
    title: str
    detail: str
    path: str = ""
    rule: str = ""


class Errors(msgspec.Struct):
    """The body of an error; requests that only the older dialect has get a text, or an object with `message`."""

    errors: list[ErrorEntry] | str | dict[str, Any]


def refused(kind: str, detail: str, status: int = 400) -> Problem:
    """Return the problem of a request that cannot be carried out."""
    return Problem(status, kind, detail)


def violated(what: str, found: Sequence[Violation], kind: str = "json-schema") -> Problem:
    """Return the problem of a value that does not fit its schema, with all violations."""
    return Problem(400, kind, f"{what} does not fit its schema at {len(found)} places", violations=found)


def unknown(what: str, given: str, *, is_id: bool) -> Problem:
    """Return the problem of an id that names nothing."""
    if not is_id:
        return Problem(404, "not-uuid", f"the id of a {what} is a UUID, got {given!r:.100}")
    return Problem(404, f"{what}-not-found", f"the journal knows no {what} {given!r:.100}")


def handler(path: str) -> Callable[[Request[Any, Any, Any], Exception], Response[bytes]]:
    """Return the application's handler of exceptions: requests below `path` are answered in these forms."""

    def answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        asked = request.scope["path"]
        if asked != path and not asked.startswith(path + "/"):
            return handle(request, error)
        problem, instance = told(error, f"{request.scope['method']} {asked}")
        for place in request.app.state.get("places", ()):
            problem.detail = problem.detail.replace(place, "the journal")
        headers = {} if problem.retry_after is None else {"Retry-After": str(problem.retry_after)}
        if problem.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        own = asked[len(path) :]
        is_next = own.startswith("/jobs/") and own.endswith("/next")
        older = request.scope["method"] == "PUT" or own == "/echo" or is_next
        body = _older(problem) if older else _newer(problem, instance)
        return Response(
            msgspec.json.encode({"errors": body}),
            media_type="application/json",
            status_code=problem.status,
            headers=headers,
        )

    return answer


def _newer(problem: Problem, instance: str) -> list[ErrorEntry]:
    title = _TITLES.get(problem.kind, problem.kind.replace("-", " ").title())
    violations = problem.more.get("violations")
    if violations and all(isinstance(each, Violation) for each in violations):
        return [
            ErrorEntry(problem.status, title, f"{each.path}: {each.message}", each.path, each.rule)
            for each in violations
        ]
    return [ErrorEntry(problem.status, title, f"{problem.detail} ({instance})" if instance else problem.detail)]


def _older(problem: Problem) -> str | Mapping[str, Any]:
    violations = problem.more.get("violations")
    if not violations:
        return problem.detail
    return {"message": problem.detail, "context": msgspec.to_builtins(violations, enc_hook=str)}


__all__ = ["ErrorEntry", "Errors", "handler", "problem_of", "refused", "unknown", "violated"]
