"""Read results, and store them by hand. A result is stored with the outcome, so a task that succeeded always has it."""

import time
from collections.abc import Coroutine, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from ..journal.async_journal import AsyncJournal
from ..journal.deadlines import deadline_of, seconds_of
from ..journal.errors import EventConflict
from ..journal.event_decoding import unreadable
from ..journal.journal import Journal
from ..journal.json_values import explain
from ..journal.row_decoder import Moment, RowDecoder, Whole
from .access import JournalAccess
from .accounts import account_of
from .durations import Duration, milliseconds
from .errors import ValidationError
from .failure import failed
from .index.entries import RESULT_STORED
from .inspection.wording import SUBMISSIONS_SHOWN
from .large_results import joined
from .lookup import Found, checked, in_words, task_lookup
from .message import Message, id_of
from .serializers import AnySerializer, checked_serializer, typed_result
from .state import names
from .state.decoding import fact
from .state.routing import routing_key
from .state.state import TaskState
from .state.transitions import FINAL_STATES, State
from .stored_message import stored_message

T = TypeVar("T")


class _Succeeded(msgspec.Struct):
    """What is read of the context of a `task.succeeded`, or of a `task.noted` with a result.

    A result that was split stands in as many `parts` of the claim `claim`.
    """

    result: Any = None
    serializer: str = ""
    encoded: str | None = None
    parts: Whole = 0
    claim: Whole = -1


class _SucceededEvent(msgspec.Struct):
    context: _Succeeded
    timestamp: Moment


_decoder: Final = RowDecoder(_SucceededEvent)

# A serializer, or several.
Readers = AnySerializer | Sequence[AnySerializer] | None


class StoreNames:
    """The name that the reference gives to a stored result; here it only identifies a message."""

    @staticmethod
    def get_storage_name(message: Message) -> str:
        """Return the name under which the reference stores the result; here it is part of the task's events."""
        if message.progenitor_uuid is None:
            return f"results:{message.uuid}"
        return f"results:{message.progenitor_uuid}:descendants:{message.uuid}"


class ResultStore(StoreNames):
    """Reads results from `journal`. They live as long as its history; collecting one only hides it.

    With `descendants` a call is about the message and all that follow it in its chain, in the order of their results.
    `serializer`, one or several: those of the tasks whose results are read, besides JSON and `MsgspecSerializer`.
    """

    def __init__(self, journal: Journal, *, serializer: Readers = None) -> None:
        self._journal = checked(journal, "ResultStore")
        self.serializers = _checked_readers(serializer)
        self._results = Results(journal.asynchronous, self.serializers)

    @property
    def journal(self) -> Journal:
        """The journal it reads."""
        return self._journal

    def exists(self, message: Message | str, descendants: bool = False) -> bool:
        """Whether the message has a result that was not collected; with `descendants` whether all of them have."""
        return self._run(self._results.exists(message, descendants=descendants), "exists")

    def get(
        self,
        message: Message | str,
        timeout: Duration | None = 0,
        keep: bool = False,
        with_metadata: bool = False,
        descendants: bool = False,
        *,
        type: Any = None,  # noqa: A002 - the caller writes type=…
    ) -> Any:
        """Return the result of a message, waiting for it at most `timeout` ms, or a `timedelta`.

        With `descendants` it is a list of results.

        With `type` it is made a value of that type, as `MsgspecSerializer` does; given a task, by that task's
        annotation of its return and its serializer. `SerializationError` if it cannot be read.

        `timeout=None` waits for ever. Without `keep` the result is collected: a later call does not find it. With
        `with_metadata` a mapping of `result`, `timestamp` (ms since the epoch) and `uuid`.

        Raises `KeyError` if there is none and no time to wait, or if its `result_ttl` is over; `TimeoutError` when the
        time is over; and at once `TaskFailedError`, which is also a `KeyError`, when the task has failed, was revoked,
        or has lapsed.
        """
        options = Options(keep, with_metadata, descendants, type)
        return self._run(self._results.get(message, timeout, options), "get")

    def set(self, message: Message | str, result: Any, nx: bool = True) -> None:
        """Store a result of a task by hand; the task goes on, or stays ended, as it is.

        `KeyError` if it has a result already, unless `nx` is False. `ValidationError` if the journal knows no such
        task, or if JSON cannot hold the result.
        """
        self._run(self._results.set(id_of(message), result, nx=nx), "set")

    def delete(self, message: Message | str, descendants: bool = True, missing_ok: bool = False) -> int:
        """Hide the result of a message, and those of its descendants, as collecting does; return how many there were.

        `KeyError` if there was none, unless `missing_ok`.
        """
        deleting = self._results.delete(message, descendants=descendants, missing_ok=missing_ok)
        return self._run(deleting, "delete")

    def _run(self, coroutine: Coroutine[Any, Any, T], name: str) -> T:
        return self._journal.run(coroutine, instead=f"AsyncResultStore.{name}")


class AsyncResultStore(StoreNames):
    """`ResultStore` for asyncio, on an `AsyncJournal` or on a `Journal` such as `broker.journal`."""

    def __init__(self, journal: AsyncJournal | Journal, *, serializer: Readers = None) -> None:
        self._access = JournalAccess(journal, "AsyncResultStore")
        self.serializers = _checked_readers(serializer)
        self._results = Results(self._access.journal, self.serializers)

    @property
    def access(self) -> JournalAccess:
        """The journal it reads, for classes built on this one."""
        return self._access

    async def exists(self, message: Message | str, descendants: bool = False) -> bool:
        """See `ResultStore.exists`."""
        return await self._access.run(self._results.exists(message, descendants=descendants))

    async def get(
        self,
        message: Message | str,
        timeout: Duration | None = 0,
        keep: bool = False,
        with_metadata: bool = False,
        descendants: bool = False,
        *,
        type: Any = None,  # noqa: A002 - the caller writes type=…
    ) -> Any:
        """See `ResultStore.get`; the loop goes on while it waits."""
        options = Options(keep, with_metadata, descendants, type)
        return await self._access.run(self._results.get(message, timeout, options))

    async def set(self, message: Message | str, result: Any, nx: bool = True) -> None:
        """See `ResultStore.set`."""
        await self._access.run(self._results.set(id_of(message), result, nx=nx))

    async def delete(self, message: Message | str, descendants: bool = True, missing_ok: bool = False) -> int:
        """See `ResultStore.delete`."""
        deleting = self._results.delete(message, descendants=descendants, missing_ok=missing_ok)
        return await self._access.run(deleting)


class Options(NamedTuple):
    """How results are returned; see `ResultStore.get`."""

    keep: bool = False
    with_metadata: bool = False
    descendants: bool = False
    type: Any = None


class Result(NamedTuple):
    """A result and when it was stored, in seconds since the epoch."""

    value: Any
    timestamp: float


class StoredResult(NamedTuple):
    """A result as it stands in the journal: JSON, or with `is_encoded` the text that the serializer has written."""

    value: Any
    serializer: str
    is_encoded: bool
    timestamp: float


class Results:
    """The implementation of both stores, on the journal's own loop."""

    def __init__(self, journal: AsyncJournal, serializers: Sequence[AnySerializer] = ()) -> None:
        self._journal = journal
        self._lookup = task_lookup(journal)
        self._serializers = serializers

    async def exists(self, message: Message | str, *, descendants: bool) -> bool:
        """See `ResultStore.exists`."""
        for task_id in await self._ids(message, descendants=descendants):
            found = await self._lookup.find(task_id)
            if found.task is None or account_of(found.trace).result_row is None or self._is_old(found):
                return False
        return True

    async def _ids(self, message: Message | str, *, descendants: bool) -> list[str]:
        """Return the id of a message, with `descendants` and those of all that follow it in its chain."""
        task_id = id_of(message)
        if not descendants:
            return [task_id]
        own = message if isinstance(message, Message) else stored_message(await self._lookup.find(task_id))
        return [task_id, *((own.descendant_uuids or []) if own is not None else [])]

    async def get(self, message: Message | str, duration: Duration | None, options: Options) -> Any:
        """See `ResultStore.get`."""
        timeout = None if duration is None else milliseconds(duration)
        deadline = deadline_of(seconds_of(timeout))
        if options.descendants:
            return await self.with_descendants(message, deadline, options, timeout)
        task_id = id_of(message)
        return await self.of(task_id, await self._wait(task_id, timeout, deadline), options)

    async def with_descendants(
        self, message: Message | str, deadline: float | None, options: Options, timeout: int | None = None
    ) -> list[Any]:
        """Return the results of a message and its descendants, in the order in which they came, until `deadline`.

        `timeout` is what an error says of the wait, in ms; 0 for none: then a result that is missing is a `KeyError`.
        """
        ids = await self._ids(message, descendants=True)
        founds = [await self._wait(task_id, timeout, deadline) for task_id in ids]
        results = [await self._result(task_id, found, options) for task_id, found in zip(ids, founds, strict=True)]
        for task_id, found in zip(ids, founds, strict=True):
            await self._collect(task_id, found, options)
        ordered = sorted(zip(ids, results, strict=True), key=lambda each: each[1].timestamp)
        return [_shown(task_id, result, options) for task_id, result in ordered]

    async def _wait(self, task_id: str, timeout: int | None, deadline: float | None) -> Found:
        """Return a task when it has ended or has a result; `TimeoutError` if there was time, and it is over."""
        remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
        found = await self._lookup.wait(task_id, is_there, remaining)
        if timeout != 0 and not is_there(found):
            when = "in time" if timeout is None else f"after {timeout:,} ms"
            said = f"{self._state(found.task)}; see `journeyman why {task_id}`"
            raise TimeoutError(f"no result of task {task_id!r} {when}: {said}")
        return found

    async def of(self, task_id: str, found: Found, options: Options) -> Any:
        """Return the result of a task that was looked up; errors as in `ResultStore.get` without a timeout."""
        result = await self._result(task_id, found, options)
        await self._collect(task_id, found, options)
        return _shown(task_id, result, options)

    async def _result(self, task_id: str, found: Found, options: Options) -> Result:
        """Return a task's result, read by its serializer."""
        said = await self.stored(task_id, found)
        value = typed_result(said.value, said.serializer, self._serializers, options.type, task_id)
        return Result(value, said.timestamp)

    async def stored(self, task_id: str, found: Found, at: float | None = None) -> StoredResult:
        """Return a result as it stands in the journal, by its `result_ttl` at `at` (None: now); errors as in `of`."""
        task, row = await self._result_row(task_id, found, at)
        event = _decoded(task, row)
        said = event.context
        value: Any = said.result if said.encoded is None else said.encoded
        if said.parts:
            value = await self._joined(task, said)
        return StoredResult(value, said.serializer, said.encoded is not None, event.timestamp)

    async def _joined(self, task: TaskState, said: _Succeeded) -> Any:
        """Return a result that was split, decoded as JSON."""
        rows = await self._lookup.rows_of(task, RESULT_STORED)
        text = joined(rows, task.id, said.claim, said.parts)
        if text is None:
            raise KeyError(
                f"no result of task {task.id!r}: of its {said.parts:,} parts the journal {self._journal.location} no "
                "longer holds all; retention has removed them, or a record is damaged"
            )
        return msgspec.json.decode(text)

    async def _result_row(self, task_id: str, found: Found, at: float | None = None) -> tuple[TaskState, bytes]:
        """Return the task, and the record that holds its result."""
        task, account = found.task, account_of(found.trace)
        if task is not None and account.result_row is not None:
            if self._is_old(found, at):
                raise KeyError(f"no result of task {task_id!r}: its result_ttl is over")
            return task, account.result_row
        if task is None or task.state not in FINAL_STATES or task.collected:
            raise KeyError(f"no result of task {task_id!r}: {self._state(task)}")
        row = await self._lookup.row(task, found.trace)
        if task.state is not State.SUCCEEDED:
            raise failed(task, row)
        if row is None:
            raise KeyError(f"no result of task {task_id!r}: retention has removed it from {self._journal.location}")
        if (said := fact(row)) is not None and said.name == names.SUCCEEDED:  # the trace did not hold it
            return task, row
        raise KeyError(f"no result of task {task_id!r}: it was acknowledged by hand, or its result was deleted")

    def _is_old(self, found: Found, at: float | None = None) -> bool:
        """Return whether the task's `result_ttl` is over at a moment (None: now), by the clock here."""
        task, row = found.task, account_of(found.trace).result_row
        submitted = found.trace.rows.get(task.submitted) if task is not None else None
        if task is None or row is None or submitted is None or b'"result_ttl"' not in submitted:
            return False
        message = stored_message(found)
        ttl = message.result_ttl if message is not None else None
        return ttl is not None and _decoded(task, row).timestamp + ttl / 1_000 <= (time.time() if at is None else at)

    async def _collect(self, task_id: str, found: Found, options: Options) -> None:
        if options.keep:
            return
        if found.task is not None and found.task.state is State.SUCCEEDED:
            await self._journal.append(names.COLLECTED, {"task": task_id}, key=routing_key(task_id))
        else:
            await self._journal.append(names.NOTED, {"task": task_id, "collected": True}, key=routing_key(task_id))

    async def set(self, task_id: str, result: Any, *, nx: bool) -> None:
        """See `ResultStore.set`."""
        try:
            explain(result, "result")
        except ValueError as error:
            raise ValidationError(f"the result of task {task_id!r} cannot be written as JSON: {error}") from error
        while True:
            found = await self._lookup.find(task_id)
            if found.task is None:
                raise ValidationError(
                    f"the journal {self._journal.location} knows no task {task_id!r}, so it stores no result of it; "
                    "submit the message first"
                )
            if nx and account_of(found.trace).result_row is not None:
                raise KeyError(f"the task {task_id!r} has a result already; nx=False stores another one")
            try:
                await self._journal.append(
                    names.NOTED, {"task": task_id, "result": result}, key=routing_key(task_id), expected=found.end
                )
            except EventConflict:
                continue  # an event of the task has come since, perhaps its result
            return

    async def delete(self, message: Message | str, *, descendants: bool, missing_ok: bool) -> int:
        """See `ResultStore.delete`."""
        deleted = 0
        for task_id in await self._ids(message, descendants=descendants):
            found = await self._lookup.find(task_id)
            if found.task is not None and account_of(found.trace).result_row is not None:
                await self._collect(task_id, found, Options())
                deleted += 1
        if not (deleted or missing_ok):
            raise KeyError(f"no result of task {id_of(message)!r} is there to be deleted")
        return deleted

    def _state(self, task: TaskState | None) -> str:
        if task is None:
            return f"no such task is known to the journal {self._journal.location}; {SUBMISSIONS_SHOWN}"
        return "was collected already" if task.collected else in_words(task.state)


def is_over(task: TaskState | None) -> bool:
    """Whether the task has ended."""
    return task is not None and task.state in FINAL_STATES


def is_there(found: Found) -> bool:
    """Whether the task has ended, or has a result that was stored by hand."""
    return is_over(found.task) or account_of(found.trace).result_row is not None


def _shown(task_id: str, result: Result, options: Options) -> Any:
    if options.with_metadata:
        return {"result": result.value, "timestamp": round(result.timestamp * 1_000), "uuid": task_id}
    return result.value


def _decoded(task: TaskState, row: bytes) -> _SucceededEvent:
    try:
        return _decoder.decode(row)
    except msgspec.MsgspecError as error:
        raise unreadable(task.partition, task.changed, row, str(error)) from error


def _checked_readers(given: Readers) -> tuple[AnySerializer, ...]:
    several = given if isinstance(given, list | tuple) else () if given is None else (given,)
    return tuple(each for each in map(checked_serializer, several) if each is not None)
