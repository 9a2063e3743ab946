"""`_Job`: the job at the head of a queue, as a listener of the original sees it."""

from typing import Any

from . import calls
from .dialect import STATUSES, result_of
from .transport import Transport


class ListenerJob:
    """The details of a job, which can be read like a dictionary, and changed by its status and result."""

    def __init__(self, address: str | Transport, job_dict: dict[str, Any]) -> None:
        self._transport = address if isinstance(address, Transport) else Transport(address)
        self.address = self._transport.url
        self._job_dict = job_dict

    def __getitem__(self, item: str) -> Any:
        return self._job_dict[item]

    @property
    def id(self) -> str:
        """The job's id."""
        return str(self._job_dict["id"])

    @property
    def status(self) -> str:
        """The job's status; assigned, the server is told. `ValueError` for one that there is not."""
        return str(self._job_dict["status"])

    @status.setter
    def status(self, new_status: str) -> None:
        if new_status not in STATUSES:
            raise ValueError(f"expected as status one of {', '.join(STATUSES)}, got {new_status!r}")
        self._job_dict["status"] = new_status
        self._update()

    @property
    def result(self) -> Any:
        """The job's result; assigned, the server is told."""
        return result_of(self._job_dict)

    @result.setter
    def result(self, result: Any) -> None:
        self._job_dict["result"] = result
        if "results" in self._job_dict:
            self._job_dict["results"] = result
        self._update()

    def _update(self) -> None:
        """Send the whole of the job to the server."""
        self._transport.run(calls.put_job(self._transport.server, self.id, dict(self._job_dict)))
