"""`RESTAPITracker`: reads the tasks of a server over HTTP, and records them if the server is ours."""

import os
import threading
import weakref
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final, Generic, TypeVar

import httpx2

from .errors import RESTResponseException
from .limits import REST_TIMEOUT_SECONDS
from .recorder import Entry, Recorder
from .redaction import REDACTED
from .task import Task
from .timestamps import now
from .tracker import Tracker

T = TypeVar("T", bound=Task)
KEY_VARIABLE: Final = "TOP_WEB_API_KEY"


class RESTAPITracker(Tracker[T], Generic[T]):
    """Reads the active and completed tasks of the server at `api_url`, usually its `/tracker`.

    The key is `api_key`, or the environment variable `TOP_WEB_API_KEY`; `RuntimeError` without one. It appears in no
    message. A service of ours also takes starts, ends and sweeps; with another server these raise
    `NotImplementedError`, as in the reference. An answer other than 200 raises `RESTResponseException`.
    """

    def __init__(self, api_url: str, task_type: type[T], api_key: str | None = None) -> None:
        key = api_key or os.environ.get(KEY_VARIABLE)
        if not key:
            raise RuntimeError(f"a tracker over HTTP needs a key: pass api_key, or set {KEY_VARIABLE}")
        self.api_url = api_url
        self.task_type = task_type
        self._key = key
        self._guard = threading.Lock()
        self._client: httpx2.Client | None = None

    def __repr__(self) -> str:
        return f"RESTAPITracker({self.api_url!r})"

    def get_active_tasks(self) -> dict[int | str, T]:
        """Return the tasks that run, by the server's ids as text."""
        tasks = self._get("active-tasks")
        return {str(id_): self.task_type.from_dict(task) for id_, task in tasks.items()}

    def get_completed_tasks(self) -> list[T]:
        """Return the last tasks that have ended, the newest first."""
        return [self.task_type.from_dict(task) for task in self._get("completed-tasks")]

    def start_task(self, task: T) -> None:
        """Record the start of a task."""
        task.updated_at = now()
        task.started_at = task.started_at or task.updated_at
        self._post("start-task", [task.to_dict()])

    def end_task(self, task: T) -> None:
        """Record the end of a task."""
        task.updated_at = task.ended_at = now()
        if task.recorded_successfully is None:
            task.recorded_successfully = True
        self._post("end-task", [task.to_dict()])

    def clear(self) -> None:
        """Sweep the active tasks that were recorded with this key's name."""
        self._post("clear", [])

    @cached_property
    def recorder(self) -> Recorder:
        """The recorder of this process: its thread sends what it is given."""
        return Recorder(self)

    def record(self, entries: Sequence[Entry]) -> None:
        """Send entries of a recorder; runs of starts and of ends go together."""
        run: list[dict[str, Any]] = []
        for index, entry in enumerate(entries):
            run.append(entry.make().to_dict())
            if index + 1 == len(entries) or entries[index + 1].ends != entry.ends:
                self._post("end-task" if entry.ends else "start-task", run)
                run = []

    def _get(self, action: str) -> Any:
        answer = self._ask("GET", action)
        if answer.status_code != 200:
            raise RESTResponseException(self._shown(answer))
        return answer.json()

    def _post(self, action: str, tasks: list[dict[str, Any]]) -> None:
        answer = self._ask("POST", action, json=tasks)
        if answer.status_code == 200:
            return
        if "problem+json" not in answer.headers.get("content-type", "") and answer.status_code in (404, 405, 500, 501):
            raise NotImplementedError(
                f"the server at {self.api_url} can only be read: record there, or use a JournalTracker"
            )
        raise RESTResponseException(self._shown(answer))

    def _ask(self, method: str, action: str, **body: Any) -> httpx2.Response:
        client = self._connected()
        try:
            return client.request(method, self.api_url, params={"api-key": self._key, "action": action}, **body)
        except httpx2.HTTPError as error:
            raise RESTResponseException(
                f"the server at {self.api_url} cannot be reached: {str(error).replace(self._key, REDACTED)}"
            ) from None

    def _connected(self) -> httpx2.Client:
        with self._guard:
            if self._client is None:
                self._client = httpx2.Client(timeout=REST_TIMEOUT_SECONDS, follow_redirects=True)
                weakref.finalize(self, self._client.close)
            return self._client

    def close(self) -> None:
        """Close the connection; a tracker that is no longer used does so by itself."""
        with self._guard:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _shown(self, answer: httpx2.Response) -> str:
        return f"{answer.status_code}: {answer.text[:500]}".replace(self._key, REDACTED)
