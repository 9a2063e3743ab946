"""What a listener does, as calls without I/O: it takes a job, has it run, and reports the result.

A server with claims (ours) gives each claim of a job a fencing token, which each report carries: the server refuses a
report on a job that another listener has claimed since, so no result is stored twice or for another job. An original
server has no claims: the listener marks the job at the head of the queue as WORKING, so one service should have one
listener there.
"""

import asyncio
import json
import traceback
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from uuid import uuid4

from . import calls
from .calls import Change, ServerTraits
from .dialect import COMPLETED, ERROR, REGISTERED, WORKING, details_of, listed, refusal, status_of
from .errors import (
    AccessDeniedError,
    ClaimLostError,
    InvalidParametersError,
    InvalidResultError,
    NetworkError,
    ProcessingError,
    ServiceNotFoundError,
    ValidationError,
)
from .exchange import Call, Pause, Request, ask
from .limits import (
    CLAIM_WAIT_SECONDS,
    ERROR_CHARS_MAX,
    QUEUE_POLL_SECONDS,
    QUEUE_POLL_SECONDS_MAX,
    RECONNECT_SECONDS,
    RECONNECT_SECONDS_MAX,
    TRACEBACK_CHARS_MAX,
)

# What no repetition mends: a listener ends by these.
FINAL: Final = (ServiceNotFoundError, AccessDeniedError)
# A lease is renewed when this part of it is over.
RENEWAL_FRACTION: Final = 1 / 3
# Statuses of requests that may succeed later.
_LATER: Final = (408, 425, 429)
# What ends the run of a job without being a failure of the job: it is given back.
_INTERRUPTS: Final = (KeyboardInterrupt, SystemExit, asyncio.CancelledError)


class Assignment(NamedTuple):
    """A job that a listener is to run. `token` and `lease_ms` are those of its claim, None at an original server."""

    id: str
    parameters: Any
    token: int | None = None
    lease_ms: int | None = None


class Run(NamedTuple):
    """The step in which the shell runs a job; it is sent the result."""

    assignment: Assignment


class Check(NamedTuple):
    """The step in which the shell compares an instance with a schema; `ValidationError` if it does not fit."""

    instance: Any
    schema: Any


class _NotChecked(Exception):
    """It is not known whether an instance fits its schema, by an error of the network."""

    def __init__(self, error: NetworkError) -> None:
        super().__init__(error)
        self.error = error


class Listening:
    """What a listener knows, and its calls.

    - `checks`: whether parameters and results are compared with the schemas by the listener itself, too.
    - `is_stopping`: whether the listener is to end. `on_error` is told each error with which it goes on.
    """

    def __init__(
        self,
        server: ServerTraits,
        service_id: str,
        lease_ms: int,
        *,
        checks: bool,
        is_stopping: Callable[[], bool],
        on_error: Callable[[Exception], None],
    ) -> None:
        self.id = str(uuid4())
        self._server = server
        self._service_id = service_id
        self._lease_ms = lease_ms
        self._checks = checks
        self._is_stopping = is_stopping
        self._on_error = on_error
        self._schemas: tuple[Any, Any] | None = None

    def check_in(self) -> Call[None]:
        """Say that the listener lives: this renews its lease."""
        return calls.check_in(self._service_id, self.id)

    def process(self) -> Call[None]:
        """Run jobs until the listener is to end. Errors of jobs and of the network are told, and it goes on."""
        idle = QUEUE_POLL_SECONDS
        away = RECONNECT_SECONDS
        while not self._is_stopping():
            try:
                outcome = yield from self._one(CLAIM_WAIT_SECONDS, persistent=True)
            except FINAL:
                raise
            except ClaimLostError as error:  # the next job may be claimed at once
                self._on_error(error)
                continue
            except Exception as error:
                self._on_error(error)
                yield Pause(away)
                away = min(2 * away, RECONNECT_SECONDS_MAX)
                continue
            away = RECONNECT_SECONDS
            if isinstance(outcome, Exception):
                self._on_error(outcome)
            if outcome is not False:
                idle = QUEUE_POLL_SECONDS
            elif not self._server.claims:  # a server with claims has waited itself
                yield Pause(idle)
                idle = min(2 * idle, QUEUE_POLL_SECONDS_MAX)

    def iterate(self, wait: float = 0.0, *, persistent: bool = False) -> Call[bool]:
        """Take one job, run and report it; return False if there was none within `wait` seconds.

        An error of the job is raised once the server knows the job as ERROR. If `persistent`, a report that does not
        get through is repeated until it does, or the listener is to end.
        """
        outcome = yield from self._one(wait, persistent=persistent)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _one(self, wait: float, *, persistent: bool) -> Call[bool | Exception]:
        """Return whether there was a job, or its error. What is raised is an error of the listener, not of the job."""
        assignment = yield from self._take(wait)
        if assignment is None:
            return False
        if self._is_stopping():
            yield from self._report(assignment, Change(REGISTERED))
            return False
        note = f"while processing the job {assignment.id}"
        try:
            failure = yield from self._run(assignment, persistent)
        except Exception as error:
            error.add_note(note)
            raise
        if failure is None:
            return True
        failure.add_note(note)
        return failure

    def _run(self, assignment: Assignment, persistent: bool) -> Call[Exception | None]:
        """Run and report a job; return its error, if it has failed."""
        try:
            result = yield from self._result(assignment)
        except _INTERRUPTS:
            yield from self._report(assignment, Change(REGISTERED))
            raise
        except _NotChecked as unknown:  # the job waits for another listener, or another time
            yield from self._deliver(assignment, Change(REGISTERED), persistent)
            raise unknown.error from None
        except Exception as error:
            yield from self._fail(assignment, error, persistent)
            return error
        try:
            yield from self._deliver(assignment, Change(COMPLETED, result), persistent)
        except ValidationError as refused:
            invalid = InvalidResultError(f"the result was refused: {refused.message}", refused.context)
            invalid.__cause__ = refused
            yield from self._fail(assignment, invalid, persistent)
            return invalid
        return None

    def _result(self, assignment: Assignment) -> Call[Any]:
        """Have a job run, and return its result, which is JSON."""
        registration, results = yield from self._needed_schemas()
        try:
            yield from _checked(assignment.parameters, registration)
        except ValidationError as error:
            raise InvalidParametersError(f"the parameters do not fit the schema: {error}", error.context) from error
        result = yield Run(assignment)
        try:
            json.dumps(result, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise ProcessingError(f"run() has returned what is no JSON: {error}") from error
        try:
            yield from _checked(result, results)
        except ValidationError as error:
            raise InvalidResultError(f"the result does not fit the schema: {error}", error.context) from error
        return result

    def _needed_schemas(self) -> Call[tuple[Any, Any]]:
        """Return the schemas to compare with; None where the server does it: one with claims."""
        if not self._checks and self._server.claims:
            return None, None
        if self._schemas is None:
            try:
                details = yield from calls.service_details(self._service_id)
            except NetworkError as error:
                raise _NotChecked(error) from error
            self._schemas = details.get("job_registration_schema"), details.get("job_result_schema")
        return self._schemas

    def _take(self, wait: float) -> Call[Assignment | None]:
        if self._server.claims is not False:
            body = {"listener": self.id, "wait": wait, "holding": [], "lease_ms": self._lease_ms}
            path = f"/services/{self._service_id}/jobs/claim"
            # Safe to repeat: a job whose claim this listener does not know of (`holding`) is handed out again.
            answer = yield from ask(Request("POST", path, body, wait=wait))
            if answer.status == 200:
                self._server.claims = True
                data = answer.body.get("data") if isinstance(answer.body, dict) else None
                return None if data is None else _claimed(details_of(answer))
            if answer.status not in (404, 405, 501):
                raise refusal(answer, f"no job of the service {self._service_id} can be claimed")
            yield from calls.service_details(self._service_id)  # or else there is no such service
            if self._server.claims:
                raise refusal(answer, f"no job of the service {self._service_id} can be claimed")
            self._server.claims = False
        return (yield from self._take_from_queue())

    def _take_from_queue(self) -> Call[Assignment | None]:
        """Mark the first job of the queue that waits as WORKING, and return it."""
        for line in (yield from queued(self._service_id)):
            if status_of(line) != REGISTERED:
                continue
            details = yield from calls.job_details(str(line["id"]))
            if status_of(details) != REGISTERED:
                continue
            yield from calls.change_job(self._server, str(line["id"]), Change(WORKING))
            return Assignment(str(line["id"]), details.get("parameters"))
        return None

    def _fail(self, assignment: Assignment, error: Exception, persistent: bool) -> Call[None]:
        """Say that a job has failed; a server of the older dialect knows no such status, and refuses it."""
        told = None if assignment.token is None else _told(error)
        try:
            yield from self._deliver(assignment, Change(ERROR, error=told), persistent)
        except ValidationError as refused:
            error.add_note(f"the server does not take the status ERROR, so the job stays WORKING: {refused.message}")
        except NetworkError as lost:
            error.add_note(f"the server could not be told of it: {lost}")

    def _deliver(self, assignment: Assignment, change: Change, persistent: bool) -> Call[None]:
        pause = RECONNECT_SECONDS
        while True:
            try:
                yield from self._report(assignment, change)
            except NetworkError as error:
                if not persistent or self._is_stopping() or _is_final(error):
                    raise
                self._on_error(error)
                yield Pause(pause)
                pause = min(2 * pause, RECONNECT_SECONDS_MAX)
            else:
                return

    def _report(self, assignment: Assignment, change: Change) -> Call[None]:
        return calls.change_job(self._server, assignment.id, change._replace(token=assignment.token))


def _checked(instance: Any, schema: Any) -> Call[None]:
    """Have an instance compared with a schema, if there is one."""
    if schema is None:
        return
    try:
        yield Check(instance, schema)
    except NetworkError as error:
        raise _NotChecked(error) from error


def _is_final(error: NetworkError) -> bool:
    """Return whether the same request would be refused again: it was answered, and not as too early or too much."""
    return error.status is not None and 400 <= error.status < 500 and error.status not in _LATER


def queued(service_id: str) -> Call[list[dict[str, Any]]]:
    """Return the jobs at the head of a service's queue."""
    # Ours would wait a moment while the queue is empty, as a favour to listeners that ask without a pause.
    answer = yield from ask(Request("GET", f"/services/{service_id}/queue?wait=0"))
    if answer.status == 404:
        raise ServiceNotFoundError(f"the server knows no service {service_id}", status=404)
    if answer.status not in (200, 204):
        raise refusal(answer, f"the queue of the service {service_id} cannot be read")
    return listed(answer)


def _claimed(details: dict[str, Any]) -> Assignment:
    return Assignment(str(details["id"]), details.get("parameters"), details.get("token"), details.get("lease_ms"))


def _told(error: Exception) -> dict[str, str]:
    return {
        "name": type(error).__name__,
        "text": str(error)[:ERROR_CHARS_MAX],
        "traceback": "".join(traceback.format_exception(error))[-TRACEBACK_CHARS_MAX:],
    }
