"""A message: one task to be run, with its arguments. It is the context of the event `task.submitted`."""

import copy
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Self, cast

import msgspec
import uuid_utils

from ..journal.limits import TIMESTAMP_SECONDS_MAX
from ..journal.row_decoder import WHOLE_MAX
from .backoff import Backoff, ExponentialBackoff, settings2backoff
from .errors import ValidationError
from .exception_details import ExceptionDetails
from .limits import MAX_RETRIES_DEFAULT, TASK_ID_CHARS_MAX, TASK_TIMEOUT_MS_DEFAULT
from .linked_lock import LinkedLock
from .message_fields import added, check_fields
from .progress import encoded_progress, encoded_value, report
from .state.names import QUEUE_DEFAULT

_UNSAID: Final = -(2**31)


def new_id() -> str:
    """Return a new UUIDv7: it contains its time, so that a task's history is found without an index."""
    return str(uuid_utils.uuid7())


def now_ms() -> int:
    """The time in ms since the epoch."""
    return int(time.time() * 1_000)


class Message(LinkedLock, msgspec.Struct, omit_defaults=True, dict=True):
    """One task to be run. Times and durations in ms, except `due` and `expires`, in seconds since the epoch.

    None stands for the default of each field. A message is hashed by its `uuid`, and equal by its content.

    - `uuid`: the id of the task; in events it is called `task`.
    - `priority`: lower runs first; FIFO within one priority.
    - `retries`: attempts that have failed so far; `max_retries` None means without end.
    - `delay`: how long after its creation it may first run; `due` is that moment. `expires`: from then on no worker
      begins it; 0 for never.
    - `updated_at`: when it was last counted up or changed in the journal; its creation if never.
    - `exception_details`: of its last failed attempt; `previous_result`, `previous_message_uuid`, `progenitor_uuid` and
      `callback_message_data`: its place in a chain. `result_ttl`: how long its result is wanted.
    - `summary`: the message in one line, for display; made of its fields unless one is given. `tags`: for filters.
    - `trace`: the context of its submission in a distributed trace, such as `{"traceparent": …}`.
    - `function`: for which function it was made, as `module:qualname`: workers compare it and never import it. Empty:
      any that has the name. `named`: the name was given to the task by `name=`, and not taken from the function.
    - `backoff_settings`: None stands for the default, `ExponentialBackoff()`.
    - `serializer`: the name of the one by which `args` and `kwargs` are written; empty for JSON. `encoded`: what it has
      written, if that is no JSON and was not read yet.
    """

    task_name: str
    queue: str = QUEUE_DEFAULT
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = msgspec.field(default_factory=dict)
    priority: int = 0
    metadata: dict[str, Any] | None = None
    if TYPE_CHECKING:

        @property
        def exception_details(self) -> ExceptionDetails | None:
            """The exception of its last failed attempt."""

        @exception_details.setter
        def exception_details(self, value: ExceptionDetails | dict[str, Any] | None) -> None: ...

    else:
        exception_details: dict[str, Any] | None = None
    result_ttl: int | None = None
    uuid: str = msgspec.field(default_factory=new_id, name="task")
    progenitor_uuid: str | None = None
    retries: int = 0
    timeout: int = TASK_TIMEOUT_MS_DEFAULT
    created_at: int = msgspec.field(default_factory=now_ms)
    updated_at: int = cast("int", None)  # read as `created_at` while it is unset
    delay: int = 0
    previous_result: Any = None
    previous_message_uuid: str | None = None
    callback_message_data: dict[str, Any] | None = None
    backoff_settings: dict[str, Any] | None = None
    mechanism: str = "thread"
    linked_lock: dict[str, Any] | None = None
    max_retries: int | None = _UNSAID
    due: float = 0.0
    expires: float = 0.0
    function: str = ""
    named: bool = False
    serializer: str = ""
    encoded: str | None = None
    tags: tuple[str, ...] = ()
    summary: str = ""
    trace: dict[str, str] | None = None

    if TYPE_CHECKING:  # `_wrap_fields` adds these
        stored_updated_at = property(lambda self: cast("int | None", None), lambda self, value: None)
        stored_summary = property(lambda self: "", lambda self, value: None)
        stored_exception = property(lambda self: cast("Any", None), lambda self, value: None)

        def __init__(  # noqa: PLR0917 - the reference's signature
            self,
            task_name: str,
            queue: str | None = None,
            args: Sequence[Any] | None = None,
            kwargs: dict[str, Any] | None = None,
            priority: int | None = 0,
            metadata: dict[str, Any] | None = None,
            exception_details: ExceptionDetails | dict[str, Any] | None = None,
            result_ttl: int | None = None,
            uuid: str | None = None,
            progenitor_uuid: str | None = None,
            retries: int | None = 0,
            timeout: int | None = TASK_TIMEOUT_MS_DEFAULT,
            created_at: int | None = None,
            updated_at: int | None = None,
            delay: int | None = 0,
            previous_result: Any = None,
            previous_message_uuid: str | None = None,
            callback_message_data: dict[str, Any] | None = None,
            backoff_settings: dict[str, Any] | None = None,
            mechanism: str | None = "thread",
            linked_lock: dict[str, Any] | None = None,
            max_retries: int | None = MAX_RETRIES_DEFAULT,
            due: float | None = 0.0,
            expires: float | None = 0.0,
            function: str | None = "",
            named: bool | None = False,
            serializer: str | None = "",
            encoded: str | None = None,
            tags: Sequence[str] | None = (),
            summary: str | None = "",
            trace: dict[str, str] | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        """Check the fields on which the queue's order and the log's keys depend."""
        if self.max_retries == _UNSAID:
            self.max_retries = MAX_RETRIES_DEFAULT
        args: object = self.args
        if type(args) is list:
            self.args = tuple(args)
        tags: object = self.tags
        if type(tags) is list:
            self.tags = tuple(tags)
        # A single test for the usual case first: a worker decodes a message for each task it runs.
        if not (
            type(self.priority)
            is type(self.delay)
            is type(self.timeout)
            is type(self.retries)
            is type(self.created_at)
            is int
            and 0 <= self.priority <= WHOLE_MAX
            and self.delay >= 0 < self.timeout <= WHOLE_MAX
            and type(self.uuid) is type(self.task_name) is type(self.queue) is type(self.mechanism) is str
            and 0 < len(self.uuid) <= TASK_ID_CHARS_MAX
            and self.task_name
            and (self.max_retries is None or (type(self.max_retries) is int and abs(self.max_retries) <= WHOLE_MAX))
            and type(self.args) is tuple
            and type(self.kwargs) is dict
            and self.metadata is None
            and self.result_ttl is None
            and self.progenitor_uuid is None
            and self.previous_message_uuid is None
            and self.callback_message_data is None
            and self.linked_lock is None
            and type(self.due) is type(self.expires) is float
            and -TIMESTAMP_SECONDS_MAX <= self.due <= TIMESTAMP_SECONDS_MAX
            and not self.expires
            and type(self.serializer) is str
            and self.encoded is None
            and self.stored_updated_at is None
            and self.stored_exception is None
            and self.tags == ()
            and not self.stored_summary
            and self.trace is None
        ):
            self._set_defaults()
            check_fields(self.data)
        if self.delay and not self.due:
            if self.created_at + self.delay > TIMESTAMP_SECONDS_MAX * 1_000:
                raise ValidationError(
                    f"delay is in ms, and a task is due {TIMESTAMP_SECONDS_MAX:,.0f} s after 1970 at the latest (the "
                    f"year 2223); got {self.delay!r:.80}"
                )
            self.due = (self.created_at + self.delay) / 1_000

    def _set_defaults(self) -> None:
        """Put the defaults in place of None, and plain data in place of an `ExceptionDetails`."""
        for name, default in _DEFAULTS.items():
            if getattr(self, name) is None:
                setattr(self, name, default() if callable(default) else default)
        if isinstance(self.stored_exception, ExceptionDetails):
            self.exception_details = self.stored_exception
        self.updated_at = cast("int", self.stored_updated_at)
        self.stored_summary = self.stored_summary or ""

    def __hash__(self) -> int:
        return hash(self.uuid)

    def __repr__(self) -> str:
        return f"Message({', '.join(f'{name}={value!r}' for name, value in self.data.items())})"

    @property
    def data(self) -> dict[str, Any]:
        """All fields by name, of which `Message(**data)` makes an equal message."""
        data = {name: getattr(self, name) for name in self.__struct_fields__}
        data |= {"exception_details": self.stored_exception, "summary": self.stored_summary}
        return data

    @property
    def ephemeral_state(self) -> dict[str, Any]:
        """What hooks and the task's function tell each other during one attempt; it is never written anywhere."""
        return cast("dict[str, Any]", self.__dict__.setdefault("ephemeral_state", {}))

    def add_to_ephemeral_state(self, **data: Any) -> Self:
        """Add to the ephemeral state; errors as in `add_to_metadata`."""
        self.__dict__["ephemeral_state"] = added(self.ephemeral_state, data, "ephemeral state")
        return self

    @property
    def claim(self) -> int | None:
        """The fencing token by which a `Consumer` holds it, the offset of its claim; not copied with the message."""
        return cast("int | None", self.__dict__.get("claim"))

    @property
    def descendant_uuids(self) -> list[str] | None:
        """The ids of the messages that are to follow this one, the next one first; None if there are none."""
        found: list[str] = []
        data = self.callback_message_data
        while data is not None:
            found.append(data["uuid"])
            data = data.get("callback_message_data")
        return found or None

    @property
    def backoff(self) -> Backoff:
        """The backoff between this message's attempts."""
        return settings2backoff(self.backoff_settings) if self.backoff_settings else ExponentialBackoff()

    def get_backoff_duration(self) -> int:
        """Return how long it waits before its next attempt, in ms, counted from the failure of the last one."""
        return self.backoff.get(self.retries)

    def increment_retries(self) -> Self:
        """Count one more failed attempt, of now."""
        self.retries += 1
        self.updated_at = now_ms()
        return self

    @property
    def ready_at(self) -> int:
        """When it may run next, in ms since the epoch: after its delay, or the backoff that follows a failure."""
        begin = round(self.due * 1_000) if self.due else self.created_at
        return max(begin, self.updated_at + self.get_backoff_duration()) if self.retries else begin

    @property
    def ttr(self) -> int:
        """Time to ready, in ms; 0 when it is ready."""
        return max(self.ready_at - now_ms(), 0)

    @property
    def ready(self) -> bool:
        """Whether its delay or backoff is over."""
        return self.ttr == 0

    def progress(self, done: float, total: float | None = None, text: str = "") -> None:
        """Report from within the running task how far it is; never blocks, and only the latest report is sure to show.

        Readers get it as `details["progress"]` of the status. `ValidationError` names what breaks a rule, `TaskError`
        if this is not the message of a running task.
        """
        report(self.__dict__, "progress", encoded_progress(done, total, text))

    def emit(self, value: Any) -> None:
        """Report a value of the running task, which JSON can hold; as `progress` does, as `details["value"]`."""
        report(self.__dict__, "value", encoded_value(value))

    def clone(self) -> Self:
        """An exact, independent copy."""
        return copy.deepcopy(self)

    def duplicate(self, uuid: str | None = None) -> Self:
        """A copy under another id, a new one if none is given; a linked lock and a trace stay with this message."""
        twin = self.clone()
        twin.linked_lock = twin.trace = None
        twin.uuid = uuid or new_id()
        return twin

    def update(self, **data: Any) -> Self:
        """Change fields in place; a new `delay` moves `due`.

        `KeyError` names a field that does not exist, `ValidationError` what breaks a rule; then nothing has changed.
        """
        for name in data:
            if name not in self.__struct_fields__:
                raise KeyError(f"a message has no field {name!r}; it has {', '.join(self.__struct_fields__)}")
        before = {name: getattr(self, name) for name in (*data, "due")}
        for name, value in data.items():
            setattr(self, name, value)
        if "due" not in data and not {"delay", "created_at"}.isdisjoint(data):
            self.due = 0.0  # computed again by `__post_init__`
        try:
            self.__post_init__()
        except ValidationError:
            for name, value in before.items():
                setattr(self, name, value)
            raise
        return self

    def add_to_metadata(self, **data: Any) -> Self:
        """Add to the metadata; `KeyError` for a key that is there already, `ValueError` for nothing to add."""
        self.metadata = added(self.metadata or {}, data, "metadata")
        return self


# The fields whose None stands for a default; a function makes it.
_DEFAULTS: Final[dict[str, Any]] = {
    "queue": QUEUE_DEFAULT,
    "args": tuple,
    "kwargs": dict,
    "priority": 0,
    "uuid": new_id,
    "retries": 0,
    "timeout": TASK_TIMEOUT_MS_DEFAULT,
    "created_at": now_ms,
    "delay": 0,
    "mechanism": "thread",
    "serializer": "",
    "due": 0.0,
    "expires": 0.0,
    "function": "",
    "named": False,
    "tags": tuple,
}


def _read_updated_at(message: Message) -> int:
    stored = message.stored_updated_at
    return message.created_at if stored is None else stored


def _write_updated_at(message: Message, value: int) -> None:
    message.stored_updated_at = None if value == message.created_at else value


def _read_exception(message: Message) -> ExceptionDetails | None:
    stored = message.stored_exception
    return ExceptionDetails.of(stored) if isinstance(stored, dict) else stored


def _write_exception(message: Message, value: ExceptionDetails | dict[str, Any] | None) -> None:
    message.stored_exception = value.as_dict() if isinstance(value, ExceptionDetails) else value


def _read_summary(message: Message) -> str:
    place = f"queue {message.queue}, priority {message.priority}"
    return message.stored_summary or f"{message.task_name} {message.uuid} ({place})"


def _write_summary(message: Message, value: str) -> None:
    message.stored_summary = value


def _wrap_fields() -> None:
    """Have some fields read as more than what is stored in them: an event omits what is unset."""
    for name, slot, read, write in (
        ("updated_at", "stored_updated_at", _read_updated_at, _write_updated_at),
        ("exception_details", "stored_exception", _read_exception, _write_exception),
        ("summary", "stored_summary", _read_summary, _write_summary),
    ):
        setattr(Message, slot, vars(Message)[name])
        setattr(Message, name, property(read, write))


_wrap_fields()


def id_of(message: Message | str) -> str:
    """The task's id, of a message or given as it is; `ValidationError` for anything else."""
    return message if isinstance(message, str) else checked_message(message, "expected a message, or its id").uuid


def checked_message(message: object, expected: str = "expected a message") -> Message:
    """Return a message; `ValidationError` for anything else."""
    if not isinstance(message, Message):
        raise ValidationError(
            f"{expected}, got {message!r:.80}. A message is what task.generate(…) returns, or Message(task_name, …)"
        )
    return message
