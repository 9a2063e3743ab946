"""The errors of the client: those of the original client by their names, and more specific ones."""

from collections.abc import Sequence
from typing import Any


class NetworkError(OSError, RuntimeError):
    """The server cannot be reached, or has answered otherwise than expected.

    - `status`: the status of the answer; None if there was none.
    - `was_sent`: False if the request surely did not reach the server.
    """

    def __init__(self, message: str, *, status: int | None = None, was_sent: bool = True) -> None:
        super().__init__(message)
        self.status = status
        self.was_sent = was_sent


class ServiceNotFoundError(NetworkError, KeyError):
    """The server knows no service of that id."""


class JobNotFoundError(NetworkError, KeyError):
    """The server knows no job of that id."""


class AccessDeniedError(NetworkError):
    """The server refuses the API key, or wants one: pass `api_key`, or set `TOPCHEF_API_KEY`."""


class ClaimLostError(NetworkError):
    """The job is held by another listener, waits again, or has ended: what was reported does not count."""


class ValidationError(ValueError):
    """A JSON object does not fit its schema.

    - `message`: what the server, or the validator, says.
    - `context`: the violations, one entry each, in the shape in which the server sends them.
    """

    def __init__(self, message: str, context: Sequence[Any] = (), *args: Any) -> None:
        super().__init__(message, context, *args)
        self.message = message
        self.context = list(context)

    def __str__(self) -> str:
        return self.message


class ProcessingError(RuntimeError):
    """Parameters or a result do not fit their schema, or a job could not be processed."""


class InvalidParametersError(ValidationError, ProcessingError):
    """A job was refused, since its parameters do not fit the service's schema: `context` has the violations."""


class InvalidResultError(ValidationError, ProcessingError):
    """A result was refused, since it does not fit the service's schema: `context` has the violations."""


class JobFailedError(ProcessingError):
    """The job has ended with ERROR; `details` is what the server tells of it."""

    def __init__(self, message: str, details: dict[str, Any]) -> None:
        super().__init__(message, details)
        self.details = details

    def __str__(self) -> str:
        return str(self.args[0])
