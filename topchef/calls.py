"""The requests of the client, each with the rules by which its answer is read; without I/O."""

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from .dialect import (
    ENDED,
    ERROR,
    created_id,
    details_of,
    listed,
    refusal,
    result_of,
    said_by,
    status_of,
    violations_in,
)
from .errors import (
    InvalidParametersError,
    JobFailedError,
    JobNotFoundError,
    NetworkError,
    ServiceNotFoundError,
    ValidationError,
)
from .exchange import NO_BODY, Answer, Call, Pause, Request, ask
from .limits import JOB_OUTAGE_SECONDS, JOB_POLL_SECONDS, JOB_POLL_SECONDS_MAX, JOB_WAIT_SECONDS

# What does not fit a schema, is too large, or cannot be stored.
_INVALID: Final = (400, 413, 422)


class ServerTraits:
    """What a client has learned of its server; None while it does not know."""

    def __init__(self) -> None:
        self.claims: bool | None = None
        self.patches_jobs: bool | None = None


class Change(NamedTuple):
    """A change of a job: what is None stays. `token` is that of the claim by which the job is held."""

    status: str | None = None
    result: Any = None
    token: int | None = None
    error: dict[str, str] | None = None


def is_alive() -> Call[bool]:
    """Return whether the base URL answers 200."""
    try:
        answer = yield Request("GET", "")
    except NetworkError:
        return False
    return bool(answer.status == 200)


def service_lines() -> Call[list[dict[str, Any]]]:
    """Return a line for each service: `id` and `name` at least."""
    return listed(_good((yield from ask(Request("GET", "/services"))), "the services cannot be listed"))


def does_service_exist(service_id: str) -> Call[bool]:
    """Return whether the server knows a service; `NetworkError` if it does not say."""
    answer = yield from ask(Request("GET", f"/services/{service_id}"))
    if answer.status == 404:
        return False
    _good(answer, f"the service {service_id} cannot be read")
    return True


def service_details(service_id: str) -> Call[dict[str, Any]]:
    """Return what the server tells of a service; `ServiceNotFoundError` if it knows none of that id."""
    answer = yield from ask(Request("GET", f"/services/{service_id}"))
    if answer.status == 404:
        raise ServiceNotFoundError(f"the server knows no service {service_id}", status=404)
    return details_of(_good(answer, f"the service {service_id} cannot be read"))


def service_jobs(service_id: str) -> Call[list[dict[str, Any]]]:
    """Return what the server tells of the jobs of a service, in its order."""
    answer = yield from ask(Request("GET", f"/services/{service_id}/jobs"))
    if answer.status == 404:
        raise ServiceNotFoundError(f"the server knows no service {service_id}", status=404)
    return listed(_good(answer, f"the jobs of the service {service_id} cannot be listed"))


def definition(name: str, description: str, job_registration_schema: Any, job_result_schema: Any) -> dict[str, Any]:
    """Return what registers a service; without a schema of results every object is one."""
    return {
        "name": name,
        "description": description,
        "job_registration_schema": job_registration_schema,
        "job_result_schema": {"type": "object"} if job_result_schema is None else job_result_schema,
    }


def is_reused(if_exists: str) -> bool:
    """Return whether a service that exists is to be returned; `ValueError` for a word other than the two."""
    if if_exists not in ("create", "return"):
        raise ValueError(f"expected as if_exists 'create' or 'return', got {if_exists!r}")
    return if_exists == "return"


def new_service(definition: dict[str, Any], *, reuse: bool) -> Call[str]:
    """Register a service and return its id; with `reuse` that of one with the same name and schemas, if there is one.

    Ours decides that in one step, by a header; at an original two programs at the same time can register two.
    """
    if reuse:
        for line in (yield from service_lines()):
            if line.get("name") == definition["name"]:
                found = yield from service_details(str(line["id"]))
                if all(found.get(key) == definition[key] for key in ("job_registration_schema", "job_result_schema")):
                    return str(line["id"])
    headers = {"X-If-Exists": "return"} if reuse else {}
    answer = yield from ask(Request("POST", "/services", definition, headers, repeatable=False))
    if answer.status in _INVALID:
        raise ValidationError(f"the service was refused: {said_by(answer)}", violations_in(answer))
    if answer.status != 201 and not (reuse and answer.status == 200):
        raise refusal(answer, f"the service {definition['name']!r} cannot be registered")
    return created_id(answer, "service_details")


def new_job(service_id: str, parameters: Any) -> Call[str]:
    """Submit a job and return its id; `InvalidParametersError` if the server refuses its parameters."""
    request = Request("POST", f"/services/{service_id}/jobs", {"parameters": parameters}, repeatable=False)
    answer = yield from ask(request)
    if answer.status in _INVALID:
        raise InvalidParametersError(f"the job was refused: {said_by(answer)}", violations_in(answer))
    if answer.status == 404:
        raise ServiceNotFoundError(f"the server knows no service {service_id}", status=404)
    if answer.status != 201:
        raise refusal(answer, f"a job of the service {service_id} cannot be submitted")
    return created_id(answer, "job_details")


def job_details(job_id: str, wait: float = 0.0) -> Call[dict[str, Any]]:
    """Return what the server tells of a job, where it can after waiting for its end for `wait` seconds."""
    query = f"?wait={wait:.3f}" if wait > 0 else ""
    answer = yield from ask(Request("GET", f"/jobs/{job_id}{query}", wait=wait))
    if answer.status == 404:
        raise JobNotFoundError(f"the server knows no job {job_id}", status=404)
    return details_of(_good(answer, f"the job {job_id} cannot be read"))


def wait_for_job(job_id: str, timeout: float | None, clock: Callable[[], float]) -> Call[Any]:
    """Return a job's result once it has ended; `JobFailedError` if by ERROR, `TimeoutError` if not in time.

    A server that does not wait is asked again after a pause that grows. One that cannot be reached is asked again for
    a minute (`JOB_OUTAGE_SECONDS`), or until the time is over; then `NetworkError` is raised.
    """
    until = None if timeout is None else clock() + timeout
    pause = JOB_POLL_SECONDS
    seen = clock()
    while True:
        began = clock()
        left = JOB_WAIT_SECONDS if until is None else max(0.0, until - began)
        asked = min(left, JOB_WAIT_SECONDS)
        try:
            details = yield from job_details(job_id, asked)
        except NetworkError as error:
            is_over = clock() >= min(seen + JOB_OUTAGE_SECONDS, math.inf if until is None else until)
            if is_over or (error.status is not None and error.status < 500):
                raise
            yield Pause(min(JOB_POLL_SECONDS_MAX, left))
            continue
        seen = clock()
        if status_of(details) in ENDED:
            return _ended(job_id, details)
        if until is not None and clock() >= until:
            raise TimeoutError(f"the job {job_id} is {status_of(details)} after {timeout:g} seconds")
        if clock() - began < asked / 2:
            yield Pause(min(pause, left))
            pause = min(2 * pause, JOB_POLL_SECONDS_MAX)


def _ended(job_id: str, details: dict[str, Any]) -> Any:
    if status_of(details) == ERROR:
        error = details.get("error")
        said = error.get("text") or error.get("name") if isinstance(error, dict) else error
        raise JobFailedError(f"the job {job_id} has failed: {said or 'the server does not say why'}", details)
    return result_of(details)


def change_job(server: ServerTraits, job_id: str, change: Change) -> Call[None]:
    """Change a job: by PATCH, or by PUT of the whole of it at a server of the older dialect.

    `ValidationError` if the server refuses the result or the status, `ClaimLostError` if the claim is not current.
    """
    if server.patches_jobs is not False:
        headers = {} if change.token is None else {"X-Claim-Token": str(change.token)}
        body = {"status": change.status, "results": change.result, "error": change.error}
        said = {key: value for key, value in body.items() if value is not None}
        answer = yield from ask(Request("PATCH", f"/jobs/{job_id}", said, headers))
        if answer.status not in (405, 501):
            server.patches_jobs = True
            _check_change(answer, job_id)
            return
        server.patches_jobs = False
    details = yield from job_details(job_id)
    if change.status is not None:
        details["status"] = change.status
    if change.result is not None:
        details["result"] = change.result
    yield from put_job(server, job_id, details)


def put_job(server: ServerTraits, job_id: str, details: dict[str, Any]) -> Call[None]:
    """Replace a job by `details`; a server of the newer dialect, which knows no PUT, is sent what can change."""
    answer = yield from ask(Request("PUT", f"/jobs/{job_id}", details))
    if answer.status in (405, 501) and server.patches_jobs is not False:
        result = details.get("result") or details.get("results")
        changed = Change(details.get("status"), result or None)
        yield from change_job(server, job_id, changed)
        return
    _check_change(answer, job_id)


def _check_change(answer: Answer, job_id: str) -> None:
    if answer.status == 404:
        raise JobNotFoundError(f"the server knows no job {job_id}", status=404)
    if answer.status in _INVALID:
        raise ValidationError(f"the change of the job {job_id} was refused: {said_by(answer)}", violations_in(answer))
    _good(answer, f"the job {job_id} cannot be changed")


def validate(instance: Any, schema: Any) -> Call[None]:
    """Compare an instance with a schema, on the server; `ValidationError` if it does not fit."""
    answer = yield from ask(Request("POST", "/validator", {"object": instance, "schema": schema}))
    if answer.status == 400:
        raise ValidationError(f"the object does not fit the schema: {said_by(answer)}", violations_in(answer))
    _good(answer, "the validator cannot be asked")


def check_in(service_id: str, listener: str | None = None) -> Call[None]:
    """Say that a listener of a service lives, and renew the lease of what it holds."""
    headers = {} if listener is None else {"X-Listener": listener}
    answer = yield from ask(Request("PATCH", f"/services/{service_id}", NO_BODY, headers))
    if answer.status == 404:
        raise ServiceNotFoundError(f"the server knows no service {service_id}", status=404)
    _good(answer, f"the service {service_id} cannot be checked in")


def _good(answer: Answer, what: str) -> Answer:
    if answer.status not in (200, 204):
        raise refusal(answer, what)
    return answer
