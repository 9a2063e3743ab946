"""`Job`: a job as the program that has submitted it sees it."""

import time
from typing import Any
from uuid import UUID

from . import calls
from .dialect import COMPLETED, ENDED, result_of, status_of
from .errors import NetworkError
from .library import HTTPLibrary
from .transport import Transport, shown


class Job:
    """The job `job_id` of the server at `topchef_url`. Each property asks the server anew."""

    def __init__(
        self, topchef_url: str, job_id: str | UUID, http_library: HTTPLibrary | Transport | None = None
    ) -> None:
        self.topchef_url = topchef_url
        self.job_id = str(job_id)
        self._http_library = Transport.of(topchef_url, http_library)

    def __repr__(self) -> str:
        return f"Job({shown(self.topchef_url)!r}, {self.job_id!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and (other.topchef_url, other.job_id) == (self.topchef_url, self.job_id)

    def __hash__(self) -> int:
        return hash((self.topchef_url, self.job_id))

    @property
    def id(self) -> str:
        """The job's id."""
        return self.job_id

    @property
    def job_details_endpoint(self) -> str:
        """The URL of the job."""
        return f"{self.topchef_url.rstrip('/')}/jobs/{self.job_id}"

    @property
    def job_details(self) -> dict[str, Any]:
        """What the server tells of the job; `JobNotFoundError` if it does not know it.

        Assigned, the whole of it is sent: by PUT, or by PATCH where the server wants that.
        """
        return self._http_library.run(calls.job_details(self.job_id))

    @job_details.setter
    def job_details(self, new_job_details: dict[str, Any]) -> None:
        transport = self._http_library
        transport.run(calls.put_job(transport.server, self.job_id, new_job_details))

    @property
    def status(self) -> str:
        """REGISTERED, WORKING, COMPLETED or ERROR."""
        return status_of(self.job_details)

    @property
    def is_complete(self) -> bool:
        """Whether the job has a result."""
        return self.status == COMPLETED

    @property
    def has_ended(self) -> bool:
        """Whether the job is COMPLETED or ERROR."""
        return self.status in ENDED

    @property
    def result(self) -> Any:
        """The job's result; None, at an older server `{}`, while it has none."""
        return result_of(self.job_details)

    @result.setter
    def result(self, new_result: Any) -> None:
        transport = self._http_library
        transport.run(calls.change_job(transport.server, self.job_id, calls.Change(result=new_result)))

    def wait(self, timeout: float | None = None) -> Any:
        """Return the job's result, waiting for it, for at most `timeout` seconds.

        `JobFailedError` if the job ends with ERROR, `TimeoutError` if it does not end in time. Our server answers when
        the job ends; another one is asked at growing intervals.
        """
        return self._http_library.run(calls.wait_for_job(self.job_id, timeout, time.monotonic))

    @staticmethod
    def _handle_http_error(status_code: int) -> None:
        raise NetworkError(f"the job cannot be read: the server has answered {status_code}", status=status_code)

    @staticmethod
    def _handle_set_job_details_error(status_code: int) -> None:
        raise NetworkError(f"the job cannot be changed: the server has answered {status_code}", status=status_code)
