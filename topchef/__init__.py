"""A client of TopChef: services that process jobs, and programs that submit them, over HTTP.

`Client`, `Service`, `Job`, `Validator`, `ServiceListener` and the errors have the names of the original client; the
server is ours (`journeyman serve`, below `/topchef`) or an original, of either dialect.
"""

from typing import TYPE_CHECKING

from ..lazy import searching

if TYPE_CHECKING:
    from .async_client import AsyncClient, AsyncJob, AsyncService, AsyncValidator
    from .async_listener import AsyncServiceListener
    from .client import Client
    from .errors import (
        AccessDeniedError,
        ClaimLostError,
        InvalidParametersError,
        InvalidResultError,
        JobFailedError,
        JobNotFoundError,
        NetworkError,
        ProcessingError,
        ServiceNotFoundError,
        ValidationError,
    )
    from .job import Job
    from .service import Service
    from .service_listener import ServiceListener
    from .validator import Validator

__all__ = [
    "Client",
    "Service",
    "Job",
    "Validator",
    "ServiceListener",
    "AsyncClient",
    "AsyncService",
    "AsyncJob",
    "AsyncValidator",
    "AsyncServiceListener",
    "NetworkError",
    "ServiceNotFoundError",
    "JobNotFoundError",
    "AccessDeniedError",
    "ClaimLostError",
    "ValidationError",
    "ProcessingError",
    "InvalidParametersError",
    "InvalidResultError",
    "JobFailedError",
]

_MODULES = ("errors", "validator", "job", "service", "client", "service_listener", "async_client", "async_listener")

if not TYPE_CHECKING:  # a type checker would take every name for a public one
    __getattr__, __dir__ = searching(__name__, __all__, _MODULES)
