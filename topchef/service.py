"""`Service`: a service as the program that submits jobs to it sees it."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from . import calls
from .errors import NetworkError
from .job import Job
from .library import HTTPLibrary
from .transport import Transport, shown
from .validator import Validator

ValidatorFactory = Callable[[str, HTTPLibrary | Transport], Validator]


class Service:
    """The service `service_id` of the server at `topchef_url`. Each property asks the server anew."""

    def __init__(
        self, service_id: str | UUID, topchef_url: str, http_library: HTTPLibrary | Transport | None = None
    ) -> None:
        self.service_id = str(service_id)
        self.topchef_url = topchef_url
        self._http_library = Transport.of(topchef_url, http_library)

    def __repr__(self) -> str:
        return f"Service({self.service_id!r}, {shown(self.topchef_url)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Service) and (other.topchef_url, other.service_id) == (
            self.topchef_url,
            self.service_id,
        )

    def __hash__(self) -> int:
        return hash((self.topchef_url, self.service_id))

    @property
    def id(self) -> str:
        """The service's id."""
        return self.service_id

    @property
    def does_service_exist(self) -> bool:
        """Whether the server knows the service."""
        return self._http_library.run(calls.does_service_exist(self.service_id))

    @property
    def new_job_endpoint(self) -> str:
        """The URL to which jobs are sent."""
        return f"{self.topchef_url.rstrip('/')}/services/{self.service_id}/jobs"

    @property
    def details(self) -> dict[str, Any]:
        """What the server tells of the service; `ServiceNotFoundError` if it does not know it."""
        return self._http_library.run(calls.service_details(self.service_id))

    @property
    def name(self) -> str:
        """The service's name."""
        return str(self.details["name"])

    @property
    def description(self) -> str:
        """What the service is for."""
        return str(self.details.get("description", ""))

    @property
    def has_timed_out(self) -> bool:
        """Whether no listener of the service has checked in lately."""
        return bool(self.details.get("has_timed_out"))

    @property
    def job_registration_schema(self) -> Any:
        """The schema that the parameters of a job must fit."""
        return self.details["job_registration_schema"]

    @property
    def job_result_schema(self) -> Any:
        """The schema that the result of a job must fit."""
        return self.details["job_result_schema"]

    @property
    def jobs(self) -> list[Job]:
        """The service's jobs, in the order in which the server lists them."""
        return [self._job(line["id"]) for line in self._http_library.run(calls.service_jobs(self.service_id))]

    def __iter__(self) -> Iterator[Job]:
        return iter(self.jobs)

    def new_job(self, parameters: Any, validator_factory: ValidatorFactory | None = None) -> Job:
        """Submit a job, and return it.

        Parameters that do not fit the service's schema raise `ProcessingError`: the server refuses them, in the same
        request. With a `validator_factory`, such as `Validator`, they are validated first, as the original does.
        """
        if validator_factory is not None:
            validator = validator_factory(self.topchef_url, self._http_library)
            validator.assert_instance_matches_schema(parameters, self.job_registration_schema)
        return self._job(self._http_library.run(calls.new_job(self.service_id, parameters)))

    def _job(self, job_id: str) -> Job:
        return Job(self.topchef_url, job_id, self._http_library)

    @staticmethod
    def _handle_http_error(response_code: int) -> None:
        raise NetworkError(
            f"the server has answered {response_code} to the request for a service", status=response_code
        )

    @staticmethod
    def _handle_job_not_created_error(status_code: int) -> None:
        raise NetworkError(f"no job was created: the server has answered {status_code}", status=status_code)
