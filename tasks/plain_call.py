"""Decode the call of a plain message, without a step of Python for each field.

A worker decodes a submission for each task that it runs. Nearly all have only the usual fields, and a task without
hooks, whose function does not take the message, needs only the arguments. A record with any other field, or with a
value that `Message` refuses, is no plain call, and is decoded as a `Message`.
"""

from typing import Annotated, Any, Final

import msgspec

from ..journal.depth import SHALLOW_BYTES
from ..journal.limits import TIMESTAMP_SECONDS_MAX
from ..journal.row_decoder import WHOLE_MAX, Name, Whole
from .limits import MAX_RETRIES_DEFAULT, TASK_ID_CHARS_MAX, TASK_TIMEOUT_MS_DEFAULT
from .state.names import QUEUE_DEFAULT

_Count = Annotated[int, msgspec.Meta(ge=0, le=WHOLE_MAX)]


class PlainCall(msgspec.Struct, forbid_unknown_fields=True):
    """The usual fields of a `Message`, with the limits that it checks."""

    task_name: Name
    uuid: Annotated[str, msgspec.Meta(min_length=1, max_length=TASK_ID_CHARS_MAX)] = msgspec.field(name="task")
    queue: str = QUEUE_DEFAULT
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = msgspec.field(default_factory=dict)
    priority: _Count = 0
    retries: Whole = 0
    timeout: Annotated[int, msgspec.Meta(gt=0, le=WHOLE_MAX)] = TASK_TIMEOUT_MS_DEFAULT
    created_at: Whole = 0
    delay: _Count = 0
    backoff_settings: dict[str, Any] | None = None
    mechanism: str = "thread"
    max_retries: Whole | None = MAX_RETRIES_DEFAULT
    due: Annotated[float, msgspec.Meta(ge=-TIMESTAMP_SECONDS_MAX, le=TIMESTAMP_SECONDS_MAX)] = 0.0
    function: str = ""
    named: bool = False


class _Submission(msgspec.Struct):
    context: PlainCall


_decode: Final = msgspec.json.Decoder(_Submission).decode


def plain_call(row: bytes) -> PlainCall | None:
    """Decode the record of a `task.submitted`; None if it is no plain call, is long, or cannot be read."""
    if len(row) > SHALLOW_BYTES:
        return None
    try:
        call = _decode(row).context
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        return None
    return None if call.delay and not call.due else call  # `Message` computes when it is due, and whether it can be
