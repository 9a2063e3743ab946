"""Errors as problem documents (RFC 9457): which status an error has, and what its document says.

`type` is a URN made of the error's name, such as `urn:journeyman:event-conflict`; clients decide by it. The document of
an error that is not the caller's contains no path, address or text of the machine; these go to the log, under the same
`instance`.
"""

import logging
import re
import uuid
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from ..consumers.errors import CheckpointMoved
from ..journal.errors import (
    AppendInDoubt,
    EventConflict,
    EventTooLarge,
    HistoryTruncated,
    InvalidEvent,
    JournalDiverged,
    JournalError,
    JournalReadOnly,
    JournalUnavailable,
    UnreadableRecord,
)
from ..tasks.errors import (
    LockAlreadyAcquiredError,
    LockNotAcquiredError,
    MessageAlreadyExistsError,
    MessageDoesNotExistsError,
    SchedulingError,
    TaskFailedError,
    UnknownTaskError,
    ValidationError,
)

CONTENT_TYPE: Final = "application/problem+json"
_URN: Final = "urn:journeyman:"
INTERNAL: Final = "internal-error"

logger = logging.getLogger(__name__)


class Problem(Exception):
    """An error with a status of its own; `more` are further members of its document."""

    def __init__(self, status: int, kind: str, detail: str, *, retry_after: int | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.retry_after = retry_after
        self.more = more
        # Further headers of the answer.
        self.headers: dict[str, str] = {}


class ProblemDocument(msgspec.Struct, omit_defaults=True):
    """The body of each error: `type` names its kind, `title` its class of errors, `detail` is a sentence for people."""

    type: str
    title: str
    status: int
    detail: str
    instance: str = ""


_AWAY: Final = "the journal behind this service cannot be reached now; try again later"
_IN_DOUBT: Final = "it is unknown whether the append has landed; repeat the request with the same Idempotency-Key"
_READ_ONLY: Final = "the journal behind this service can only be read"
_UNEXPECTED: Final = "the service has failed; its log says more under the instance given here"


class _Rule(NamedTuple):
    """How errors of a class are answered: with their own message, or with a fixed one where theirs says too much."""

    error: type[Exception]
    status: int
    sentence: str | None = None
    retry_after: int | None = None


# The first class that fits decides.
_RULES: Final = (
    _Rule(AppendInDoubt, 503, _IN_DOUBT, retry_after=1),
    _Rule(JournalUnavailable, 503, _AWAY, retry_after=1),
    _Rule(JournalReadOnly, 403, _READ_ONLY),
    _Rule(UnreadableRecord, 500, _UNEXPECTED),
    _Rule(EventTooLarge, 413),
    _Rule(InvalidEvent, 400),
    _Rule(EventConflict, 409),
    _Rule(JournalDiverged, 409),
    _Rule(CheckpointMoved, 409),
    _Rule(HistoryTruncated, 410),
    _Rule(JournalError, 500, _UNEXPECTED),
    _Rule(MessageAlreadyExistsError, 409),
    _Rule(MessageDoesNotExistsError, 409),
    _Rule(LockAlreadyAcquiredError, 409),
    _Rule(LockNotAcquiredError, 409),
    _Rule(SchedulingError, 409),
    _Rule(TaskFailedError, 409),
    _Rule(UnknownTaskError, 404),
    _Rule(ValidationError, 400),
    _Rule(TimeoutError, 504),
)
TITLES: Final = {400: "Bad request", 401: "Unauthorized", 403: "Forbidden", 404: "Not found", 409: "Conflict"} | {
    405: "Method not allowed",
    406: "Not acceptable",
    408: "Too slow",
    410: "Gone",
    412: "Not yet",
    413: "Too large",
    415: "Unsupported media type",
    421: "Misdirected request",
    422: "Unprocessable content",
    429: "Too many requests",
    431: "Head too large",
    500: "Internal error",
    501: "Not implemented",
    503: "Unavailable",
    504: "Time is over",
}


def problem_of(error: Exception) -> Problem:
    """Return the problem that answers `error`."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        return _of_framework(error)
    rule = next((each for each in _RULES if isinstance(error, each.error)), None)
    if rule is None:
        return Problem(500, INTERNAL, _UNEXPECTED)
    sentence = rule.sentence or str(error.args[0] if error.args else error)
    return Problem(rule.status, kind_of(error), sentence, retry_after=rule.retry_after)


def kind_of(error: BaseException) -> str:
    """Return the last part of the `type` of an error's document: its class's name, `event-conflict` for example."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", type(error).__name__.removesuffix("Error")).lower()


def _of_framework(error: HTTPException) -> Problem:
    title = TITLES.get(error.status_code, "Error")
    kind = title.lower().replace(" ", "-")
    if not error.extra:
        return Problem(error.status_code, kind, error.detail or title)
    detail = "the request does not fit its description; `violations` says where"
    return Problem(error.status_code, kind, detail, violations=error.extra)


def document_of(problem: Problem, instance: str = "") -> bytes:
    """Return the encoded document of a problem."""
    return encoded_problem(problem.status, problem.kind, problem.detail, instance, problem.more)


def answer(problem: Problem, instance: str = "") -> Response[bytes]:
    """Return the response of a problem."""
    headers = {**problem.headers}
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(
        document_of(problem, instance),
        media_type=CONTENT_TYPE,
        status_code=problem.status,
        headers=headers,
    )


def encoded_problem(status: int, kind: str, detail: str, instance: str = "", more: Mapping[str, Any] = {}) -> bytes:
    """Return a problem document as JSON."""
    document = ProblemDocument(_URN + kind, TITLES.get(status, "Error"), status, detail, instance)
    return msgspec.json.encode(msgspec.to_builtins(document) | dict(more), enc_hook=str)


def handle(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer a request that has failed; Litestar calls it for each exception."""
    problem, instance = told(error, f"{request.scope['method']} {request.scope['path']}")
    for place in request.app.state.get("places", ()):  # where the journal is, is not the caller's to know
        problem.detail = problem.detail.replace(f"journal {place}", "journal").replace(place, "the journal")
    return answer(problem, instance)


def told(error: Exception, subject: str) -> tuple[Problem, str]:
    """Return the problem of an error, and the instance under which the log says more about it; "" if it does not."""
    problem = problem_of(error)
    if problem.status < 500:
        return problem, ""
    instance = f"urn:uuid:{uuid.uuid4()}"
    if problem.kind == INTERNAL:
        logger.error("%s failed, %s", subject, instance, exc_info=error)
    else:
        logger.warning("%s: %s, %s", subject, error, instance)
    return problem, instance
