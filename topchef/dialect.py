"""What the answers of both dialects, and of the superset that we serve, have in common."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from .errors import AccessDeniedError, ClaimLostError, NetworkError
from .exchange import Answer
from .limits import ANSWER_CHARS_SHOWN

REGISTERED: Final = "REGISTERED"
WORKING: Final = "WORKING"
COMPLETED: Final = "COMPLETED"
ERROR: Final = "ERROR"
STATUSES: Final = (REGISTERED, WORKING, COMPLETED, ERROR)
ENDED: Final = (COMPLETED, ERROR)


def data_of(answer: Answer) -> Any:
    """Return what an answer carries: the `data` of its envelope, or all of it if it has none."""
    body = answer.body
    return body["data"] if isinstance(body, dict) and "data" in body else body


def details_of(answer: Answer) -> dict[str, Any]:
    """Return the object that an answer carries; `NetworkError` if it carries none."""
    data = data_of(answer)
    if not isinstance(data, dict):
        raise NetworkError(f"expected an object, got {_shown(answer)}", status=answer.status)
    return data


def listed(answer: Answer) -> list[dict[str, Any]]:
    """Return the objects that an answer lists; an answer without content lists none (204, in the newer dialect)."""
    if answer.status == 204:
        return []
    data = data_of(answer)
    if not isinstance(data, list) or not all(isinstance(each, dict) for each in data):
        raise NetworkError(f"expected a list of objects, got {_shown(answer)}", status=answer.status)
    return data


def created_id(answer: Answer, older_key: str) -> str:
    """Return the id of what was created.

    The older dialect names it in `data[older_key]`, the newer one in `data`, or in the header `Location` alone.
    """
    data = data_of(answer)
    if isinstance(data, dict):
        for holder in (data.get(older_key), data):
            if isinstance(holder, dict) and isinstance(holder.get("id"), str):
                return str(holder["id"])
    location = urlsplit(answer.headers.get("location", "")).path.rstrip("/").rpartition("/")[2]
    if not location:
        raise NetworkError(f"the server does not say what it has created: {_shown(answer)}", status=answer.status)
    return location


def result_of(details: Mapping[str, Any]) -> Any:
    """Return a job's result: `results` in the newer dialect, `result` in the older one; None or `{}` before its end."""
    results = details.get("results")
    return details.get("result") if results is None else results


def status_of(details: Mapping[str, Any]) -> str:
    """Return a job's status, in upper case."""
    return str(details.get("status", REGISTERED)).upper()


def violations_in(answer: Answer) -> list[Any]:
    """Return what an answer says is wrong, entry by entry, whatever the shape of its errors."""
    body = answer.body
    errors = body.get("errors", body) if isinstance(body, dict) else body
    if isinstance(errors, dict):
        context = errors.get("context", errors.get("serializer_errors"))
        errors = context if context not in (None, [], {}, "") else errors.get("message", errors)
    return errors if isinstance(errors, list) else [] if errors is None else [errors]


def said_by(answer: Answer) -> str:
    """Return in one line what an answer says is wrong."""
    parts = [_line(each) for each in violations_in(answer)]
    return "; ".join(part for part in parts if part) or _shown(answer)


def _line(entry: Any) -> str:
    if isinstance(entry, dict):
        said = entry.get("detail") or entry.get("message") or entry.get("title") or entry
        return str(said)
    return str(entry)


def refusal(answer: Answer, what: str) -> NetworkError:
    """Return the error for an answer other than expected: `what` is what the client has tried."""
    text = f"{what}: the server has answered {answer.status}: {said_by(answer)}"
    kind = {401: AccessDeniedError, 403: AccessDeniedError, 409: ClaimLostError}.get(answer.status, NetworkError)
    return kind(text, status=answer.status)


def _shown(answer: Answer) -> str:
    text = " ".join(answer.text.split())
    return text[:ANSWER_CHARS_SHOWN] or "an empty body"
