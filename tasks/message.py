"""A message: one task to be run, with its arguments. It is the context of the event `task.submitted`."""

import copy
import time
from typing import Any, Final, Self, TypeGuard

import msgspec
import uuid_utils

from ..journal.event import refuse_deep, refuse_infinite
from ..journal.limits import TIMESTAMP_SECONDS_MAX
from ..journal.row_decoder import WHOLE_MAX, RowDecoder
from .backoff import Backoff, ExponentialBackoff, settings2backoff
from .errors import ValidationError
from .json_values import check_plain
from .limits import MAX_RETRIES_DEFAULT, TASK_ID_CHARS_MAX, TASK_TIMEOUT_MS_DEFAULT
from .state.names import QUEUE_DEFAULT

_UNSAID: Final = -(2**31)


def new_id() -> str:
    """Return a new UUIDv7: it contains its time, so that a task's history is found without an index."""
    return str(uuid_utils.uuid7())


def now_ms() -> int:
    """The time in ms since the epoch."""
    return int(time.time() * 1_000)


class Message(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One task to be run. Times and durations in ms, except `due`, in seconds since the epoch, the log's own unit.

    - `uuid`: the id of the task; in events it is called `task`.
    - `priority`: lower runs first; FIFO within one priority.
    - `retries`: attempts that have failed so far; `max_retries` None means without end.
    - `delay`: how long after its creation it may first run; `due` is that moment.
    - `function`: for which function it was made, as `module:qualname`: workers compare it and never import it. Empty:
      any that has the name. `named`: the name was given to the task by `name=`, and not taken from the function.
    - `backoff_settings`: None stands for the default, `ExponentialBackoff()`.
    """

    uuid: str = msgspec.field(default_factory=new_id, name="task")
    task_name: str
    queue: str = QUEUE_DEFAULT
    args: list[Any] = msgspec.field(default_factory=list)
    kwargs: dict[str, Any] = msgspec.field(default_factory=dict)
    priority: int = 0
    metadata: dict[str, Any] | None = None
    retries: int = 0
    max_retries: int | None = _UNSAID
    timeout: int = TASK_TIMEOUT_MS_DEFAULT
    created_at: int = msgspec.field(default_factory=now_ms)
    delay: int = 0
    due: float = 0.0
    backoff_settings: dict[str, Any] | None = None
    mechanism: str = "thread"
    function: str = ""
    named: bool = False

    def __post_init__(self) -> None:
        """Check the fields on which the queue's order and the log's keys depend."""
        if self.max_retries == _UNSAID:
            self.max_retries = MAX_RETRIES_DEFAULT
        # A single test for the usual case first: a worker decodes a message for each task it runs.
        if not (
            type(self.priority) is type(self.delay) is type(self.timeout) is int
            and 0 <= self.priority <= WHOLE_MAX
            and self.delay >= 0 < self.timeout <= WHOLE_MAX
            and type(self.uuid) is type(self.task_name) is type(self.queue) is str
            and 0 < len(self.uuid) <= TASK_ID_CHARS_MAX
            and self.task_name
            and (self.max_retries is None or (type(self.max_retries) is int and abs(self.max_retries) <= WHOLE_MAX))
            and type(self.kwargs) is dict
            and self.metadata is None
            and type(self.due) is float
            and -TIMESTAMP_SECONDS_MAX <= self.due <= TIMESTAMP_SECONDS_MAX
        ):
            self._check()
        if self.delay and not self.due:
            if self.created_at + self.delay > TIMESTAMP_SECONDS_MAX * 1_000:
                raise ValidationError(
                    f"delay is in ms, and a task is due {TIMESTAMP_SECONDS_MAX:,.0f} s after 1970 at the latest (the "
                    f"year 2223); got {self.delay!r:.80}"
                )
            self.due = (self.created_at + self.delay) / 1_000

    def _check(self) -> None:
        """Raise `ValidationError` if a field breaks a rule, naming it."""
        if not is_whole(self.priority) or self.priority < 0:
            raise ValidationError(f"a priority is a whole number from 0 up (lower runs first), got {self.priority!r}")
        if not isinstance(self.uuid, str) or not 0 < len(self.uuid) <= TASK_ID_CHARS_MAX:
            raise ValidationError(
                f"a message's uuid is a string of 1 to {TASK_ID_CHARS_MAX} characters, got {self.uuid!r:.80}"
            )
        if not (isinstance(self.task_name, str) and self.task_name and isinstance(self.queue, str)):
            raise ValidationError(
                f"a message names its task and its queue, got {self.task_name!r:.80} and {self.queue!r:.80}"
            )
        if self.max_retries is not None and not is_whole(self.max_retries):
            raise ValidationError(f"max_retries is a whole number, or None for no end, got {self.max_retries!r}")
        if not (is_whole(self.delay) and is_whole(self.timeout) and self.delay >= 0 and self.timeout > 0):
            raise ValidationError(
                f"delay is 0 ms or more and timeout more than 0 ms, whole numbers, got {self.delay!r} and "
                f"{self.timeout!r}"
            )
        if not (isinstance(self.kwargs, dict) and (self.metadata is None or isinstance(self.metadata, dict))):
            raise ValidationError(
                f"kwargs and metadata are dictionaries, got {self.kwargs!r:.80} and {self.metadata!r:.80}"
            )
        is_number = isinstance(self.due, int | float) and not isinstance(self.due, bool)
        if not (
            is_number and -TIMESTAMP_SECONDS_MAX <= self.due <= TIMESTAMP_SECONDS_MAX
        ):  # false for what is not a number, too
            raise ValidationError(
                f"due is a time in seconds since the epoch, up to {TIMESTAMP_SECONDS_MAX:,.0f}, got {self.due!r:.80}"
            )

    @property
    def backoff(self) -> Backoff:
        """The backoff between this message's attempts."""
        return settings2backoff(self.backoff_settings) if self.backoff_settings else ExponentialBackoff()

    @property
    def ready_at(self) -> int:
        """When it may first run, in ms since the epoch."""
        return self.created_at + self.delay

    @property
    def ttr(self) -> int:
        """Time to ready, in ms; 0 when it is ready."""
        return max(self.ready_at - now_ms(), 0)

    @property
    def ready(self) -> bool:
        """Whether its delay is over."""
        return self.ttr == 0

    @property
    def summary(self) -> str:
        """The message in one line, for display."""
        return f"{self.task_name} {self.uuid} (queue {self.queue}, priority {self.priority})"

    def clone(self) -> Self:
        """An exact, independent copy."""
        return copy.deepcopy(self)

    def duplicate(self, uuid: str | None = None) -> Self:
        """A copy under another id, a new one if none is given."""
        twin = self.clone()
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
        if not data:
            raise ValueError("nothing to add: pass the metadata as keyword arguments")
        present = set(data) & set(self.metadata or {})
        if present:
            raise KeyError(f"already in the metadata: {', '.join(sorted(present))}")
        self.metadata = {**(self.metadata or {}), **data}
        return self


def id_of(message: Message | str) -> str:
    """The task's id, of a message or given as it is."""
    return message if isinstance(message, str) else message.uuid


def is_whole(number: object) -> TypeGuard[int]:
    """Whether it is a whole number, of at most 63 bits; True and False are none."""
    return isinstance(number, int) and not isinstance(number, bool) and abs(number) <= WHOLE_MAX


class _Submission(msgspec.Struct):
    """The part of a `task.submitted` record that is a message."""

    context: Message


_decoder: Final = RowDecoder(_Submission)
_encoder: Final = msgspec.json.Encoder()


def encode_message(message: Message) -> bytes:
    """Encode a message as the context of its `task.submitted`; `ValidationError` names a value JSON cannot hold."""
    try:
        if message.args:
            check_plain(message.args, "args")
        if message.kwargs:
            check_plain(message.kwargs, "kwargs")
        if message.metadata:
            check_plain(message.metadata, "metadata")
        encoded = _encoder.encode(message)
        refuse_deep(encoded, "it")
        refuse_infinite((message.args, message.kwargs, message.metadata, message.backoff_settings), encoded)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise ValidationError(
            f"the arguments of {message.task_name} cannot be written as JSON: {error}. "
            "Pass plain data (text, numbers, lists, objects), or a reference to data stored elsewhere."
        ) from error
    return encoded


def decode_message(row: bytes) -> Message:
    """Decode the message in the record of a `task.submitted`."""
    return _decoder.decode(row).context
