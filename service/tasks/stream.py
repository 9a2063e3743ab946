"""GET /tasks/{task}/stream: the statuses of one task as Server-Sent Events, with its progress and emitted values.

The id of an event is the position behind which its reader goes on. The stream ends after the end of the task; a reader
that comes again after that gets 204, by which a browser's `EventSource` stops.
"""

import random
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import anyio
import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter
from litestar.types import HTTPResponseStartEvent, Receive, Send
from litestar.types import Scope as Connection

from ...journal.errors import JournalUnavailable
from ...tasks.answers.tasks import TaskUpdateAnswer, update_answer
from ...tasks.lookup import task_lookup
from ...tasks.state.transitions import FINAL_STATES
from ...tasks.statuses import TERMINAL_TASK_STATUSES, Statuses, StatusUpdate, Updates
from ..answers import CURSOR_HEADER
from ..backend import Backend
from ..connections import Direct, beside, unless_stopped, while_connected
from ..limits import COME_AGAIN_MS_MAX, COME_AGAIN_MS_MIN, UPDATES_HEARTBEAT_SECONDS
from ..problems import Problem, document_of, told
from .parameters import READING, AtLeast, TaskId, not_found, whole

_HEARTBEAT: Final = b": the task is as it was\n\n"

LastEventId = Annotated[
    str | None,
    HeaderParameter(name="Last-Event-ID", description="Go on behind this event; a browser sends it."),
]
_OVER: Final = {204: ResponseSpec(None, description="The task has ended, and its reader has seen that.")}
Write = Callable[[bytes], Awaitable[None]]


@get("/tasks/{task:str}/stream", opt=READING, media_type="text/event-stream", responses=_OVER)
async def stream_task(
    backend: NamedDependency[Backend], task: TaskId, at_least: AtLeast = None, last_event_id: LastEventId = None
) -> Response[TaskUpdateAnswer]:
    """Follow a task until it has ended: Server-Sent Events with its statuses, its progress and its emitted values.

    Events of the type `status` name a new state, those of the type `progress` a report of the running task; `end` comes
    last. A client that goes away cancels nothing.
    """
    try:
        await backend.reach(at_least)
        task_id = await whole(backend, task)
        found = await task_lookup(backend.journal).current(task_id)
    except JournalUnavailable as error:
        if last_event_id is None:
            raise
        return Direct(_Outage(error, str(backend.cursor)))
    if found.task is None:
        raise not_found("task", task_id, found.end)
    after = _offset_in(last_event_id, found.task.partition) if last_event_id else -1
    is_over = found.task.state in FINAL_STATES and after >= found.task.changed
    stream = _TaskStream(backend, task_id, found.task.partition, after, str(found.end), is_over=is_over)
    return Direct(stream)


def _offset_in(event_id: str, partition: int) -> int:
    """Return the offset in an event's id; `Problem` 400 if it is not the id of an event of that partition."""
    place, _, offset = event_id.partition(":")
    if place != str(partition) or not (offset.isascii() and offset.isdigit()) or len(offset) > 18:
        raise Problem(
            400,
            "bad-event-id",
            f"Last-Event-ID takes the id of an event of this stream, such as {partition}:17, got {event_id!r:.80}",
        )
    return int(offset)


class _TaskStream:
    """The ASGI application that answers one request with the stream."""

    def __init__(
        self, backend: Backend, task_id: str, partition: int, after: int, cursor: str, *, is_over: bool
    ) -> None:
        self._backend = backend
        self._id = task_id
        self._partition = partition
        self._after = after
        self._cursor = cursor
        self._is_over = is_over

    async def __call__(self, _: Connection, receive: Receive, send: Send) -> None:
        """Answer until the task has ended, the client has gone, or the service stops."""
        await send(_start(self._cursor, 204 if self._is_over else 200))
        if not self._is_over:
            await while_connected(receive, lambda: self._follow(send))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _follow(self, send: Send) -> None:
        async def write(frame: bytes) -> None:
            await send({"type": "http.response.body", "body": frame, "more_body": True})

        updates = Statuses(self._backend.journal).updates(self._id, auto_exit=True, timeout=None, after=self._after)
        try:
            await write(_opening())
            await unless_stopped(self._backend.stopping, lambda: self._tell(updates, write))
        except JournalUnavailable as error:
            await write(_problem(error))
        finally:
            with anyio.CancelScope(shield=True):
                await updates.aclose()

    async def _tell(self, updates: Updates, write: Write) -> None:
        heartbeat = _Heartbeat(write)

        async def tell() -> None:
            before: StatusUpdate | None = None
            while (update := await updates.next()) is not None:
                await heartbeat.write(self._frame(update, before, updates.offset))
                before = update
            await heartbeat.write(b"event: end\ndata: {}\n\n")

        await beside(heartbeat.run, tell)

    def _frame(self, update: StatusUpdate, before: StatusUpdate | None, offset: int) -> bytes:
        position = f"{self._partition}:{offset}"
        kind = b"progress" if _is_report(update, before) else b"status"
        data = msgspec.json.encode(update_answer(self._id, update, position))
        return b"event: %b\nid: %b\ndata: %b\n\n" % (kind, position.encode(), data)


class _Outage:
    """Answers a reader that reconnects while the journal is away: after a 503 an `EventSource` would give up."""

    def __init__(self, error: JournalUnavailable, cursor: str) -> None:
        self._error = error
        self._cursor = cursor

    async def __call__(self, _scope: Connection, _receive: Receive, send: Send) -> None:
        """Answer with a stream that ends."""
        await send(_start(self._cursor, 200))
        body = _opening() + _problem(self._error)
        await send({"type": "http.response.body", "body": body, "more_body": False})


def _start(cursor: str, status: int) -> HTTPResponseStartEvent:
    headers = [
        (b"content-type", b"text/event-stream"),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),  # a proxy passes each event on at once
        (CURSOR_HEADER.lower().encode(), cursor.encode()),
    ]
    return {"type": "http.response.start", "status": status, "headers": headers}


def _opening() -> bytes:
    return b"retry: %d\n\n" % random.randint(COME_AGAIN_MS_MIN, COME_AGAIN_MS_MAX)


def _problem(error: JournalUnavailable) -> bytes:
    """Return the frame of a problem, which ends the stream; its reader comes again."""
    return b"event: problem\ndata: %b\n\n" % document_of(*told(error, "a stream of a task"))


class _Heartbeat:
    """Writes the frames of a stream, and a comment when there was none for a while."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._lock = anyio.Lock()
        self._due = 0.0

    async def write(self, frame: bytes) -> None:
        async with self._lock:
            await self._write(frame)
            self._due = anyio.current_time() + UPDATES_HEARTBEAT_SECONDS

    async def run(self) -> None:
        self._due = anyio.current_time() + UPDATES_HEARTBEAT_SECONDS
        while True:
            await anyio.sleep_until(self._due)
            if anyio.current_time() >= self._due:
                await self.write(_HEARTBEAT)


def _is_report(update: StatusUpdate, before: StatusUpdate | None) -> bool:
    """Whether an update tells what the task has reported, and its state is as it was."""
    details: dict[str, Any] = update.details or {}
    if not details.keys() & {"progress", "value"} or update.status in TERMINAL_TASK_STATUSES:
        return False
    return before is None or all(
        (before.details or {}).get(name) == details.get(name) for name in ("attempts", "worker", "changed_at")
    )
