"""One request and its response, as a recorder takes them; shared by all servers."""

import os
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from time import time
from typing import Any

from .http_task import HTTPTask
from .journal_tracker import JournalTracker
from .limits import PATH_CHARS_MAX
from .recorder import Recorder
from .redaction import redacted_headers, redacted_params, with_query

Fields = dict[str, Any]
Headers = list[tuple[str, str]]


class Exchange:
    """A request that is answered now; `end` is to be called once it is over, however it ends.

    `request` and `headers` are called by the recorder's thread: the request only pays for two entries of a buffer. Its
    id is made of the process and a number, so that those of several processes of one instance differ.
    """

    __slots__ = ("_begun", "_id", "_is_recorded", "_over", "_recorder", "headers", "is_complete", "status")

    def __init__(self, recorder: Recorder, request: Callable[[], Fields], processor: str | None = None) -> None:
        self._recorder = recorder
        self._begun = time()
        self._id = f"{os.getpid()}-{recorder.next_id()}"
        self._over = False
        self.status: int | None = None
        self.headers: Callable[[], Headers] = list
        self.is_complete = False
        thread, identity, begun = threading.get_native_id(), self._id, self._begun
        self._is_recorded = recorder.start(lambda: _started(identity, begun, thread, processor, request()))

    def end(self) -> None:
        """Record the end: successful if the last byte of the response was sent."""
        if self._over or not self._is_recorded:
            return
        self._over = True
        identity, status, headers, well, now = self._id, self.status, self.headers, self.is_complete, time()
        self._recorder.end(lambda: _ended(identity, status, headers(), now, well=well))


def _started(identity: str, begun: float, thread: int, processor: str | None, request: Fields) -> HTTPTask:
    params = redacted_params(request["query"])
    path = str(request["path"])[:PATH_CHARS_MAX]
    headers = redacted_headers(request["headers"])
    host = next((value for name, value in headers if name == "HOST"), None)
    at = datetime.fromtimestamp(begun, UTC)
    return HTTPTask(
        task_id=identity,
        host_name=socket.gethostname(),
        process_id=os.getpid(),
        thread_id=thread,
        processor_name=processor,
        started_at=at,
        updated_at=at,
        protocol=request["protocol"],
        host=host,
        method=request["method"],
        path=path,
        params=params or None,
        uri=with_query(f"{request['protocol']}://{host}{path}", params) if host else None,
        client_ip_address=request["client"],
        request_headers=headers,
    )


def _ended(identity: str, status: int | None, headers: Headers, now: float, *, well: bool) -> HTTPTask:
    at = datetime.fromtimestamp(now, UTC)
    return HTTPTask(
        task_id=identity,
        updated_at=at,
        ended_at=at,
        recorded_successfully=well,
        status_code=status,
        status_message=None if status is None else status_line(status),
        response_headers=redacted_headers(headers),
    )


def status_line(status: int) -> str:
    """Return a status with its phrase, `200 OK`."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def recorder_of(tracker: JournalTracker[HTTPTask] | str) -> tuple[Recorder, Callable[[], None]]:
    """Return the recorder of a tracker, or of the journal at a URL, and a function that sweeps abandoned requests."""
    made = JournalTracker(tracker) if isinstance(tracker, str) else tracker
    return made.recorder, made.clear
