"""The messages of a schedule: the template in the journal, and the submission of each tick made of it.

What is made depends on the schedule and the tick alone, so that it is the same in every process.
"""

from functools import lru_cache
from typing import Any, Final

import msgspec
import orjson

from .errors import SchedulingError, ValidationError
from .limits import SCHEDULE_MESSAGE_BYTES_MAX
from .message import Message
from .message_encoding import encode_message
from .renumbering import renumbered
from .state.schedules import Schedule
from .state.ticks import tick_id, tick_text

# The key of a message's metadata under which its task finds the schedule and the tick.
SCHEDULE_KEY: Final = "schedule"
# The fields that differ from tick to tick; `due` follows from the tick and the delay.
_OF_A_TICK: Final = ("task", "created_at", "due")


def template_of(message: Message) -> dict[str, Any]:
    """Return the fields that the messages of all ticks share."""
    if message.metadata is not None and SCHEDULE_KEY in message.metadata:
        raise ValidationError(
            f"the metadata of a scheduled message has its schedule and tick under {SCHEDULE_KEY!r}; use another key"
        )
    encoded = encode_message(message)
    if len(encoded) > SCHEDULE_MESSAGE_BYTES_MAX:
        raise SchedulingError(
            f"the message of a schedule takes at most {SCHEDULE_MESSAGE_BYTES_MAX:,} bytes, since every worker holds "
            f"it; this one takes {len(encoded):,}. Pass a reference to data stored elsewhere"
        )
    fields: dict[str, Any] = orjson.loads(encoded)
    return {name: value for name, value in fields.items() if name not in _OF_A_TICK}


def check_template(template: bytes) -> None:
    """Raise `ValueError` or `msgspec.MsgspecError` if no message can be made of a template."""
    msgspec.json.decode(template, type=Message)


def tick_message(schedule: Schedule, tick: int) -> bytes:
    """Return the encoded message of a tick: the context of its `task.submitted`."""
    shared, metadata, delay, callback = _parts(schedule.message)
    said = {"name": schedule.name, "tick": tick_text(tick)}
    own: dict[str, Any] = {
        "task": tick_id(schedule.name, tick),
        "created_at": tick,
        "metadata": {**metadata, SCHEDULE_KEY: said},
    }
    if callback is not None:
        own["callback_message_data"] = renumbered(callback, own["task"])
    if tick != schedule.first:
        own["progenitor_uuid"] = tick_id(schedule.name, schedule.first)
    if delay:
        own["due"] = (tick + delay) / 1_000
    return b"%b,%b" % (shared, orjson.dumps(own)[1:])


@lru_cache(maxsize=4_096)
def _parts(template: bytes) -> tuple[bytes, dict[str, Any], int, dict[str, Any] | None]:
    """Return the encoded fields of a template that each message has, still open; its metadata, delay and callback."""
    fields: dict[str, Any] = orjson.loads(template)
    metadata = fields.pop("metadata", None) or {}
    callback = fields.pop("callback_message_data", None)
    return orjson.dumps(fields)[:-1], metadata, fields.get("delay", 0), callback
