"""Submit a message whose id the caller chose, where the journal may hold a task of that id already."""

from typing import Any, Final, Literal

from .broker import Broker
from .errors import MessageAlreadyExistsError, ValidationError
from .message import Message

# "raise" the error; "ignore" the submission; or ignore it, and "return" the message of the known task.
IfExists = Literal["raise", "ignore", "return"]

_WAYS: Final = ("raise", "ignore", "return")


def check_way(if_exists: Any, uuid: str | None) -> None:
    """Raise `ValidationError` unless it is one of the three ways, and other than "raise" only with an id."""
    if if_exists not in _WAYS:
        raise ValidationError(f"if_exists is 'raise', 'ignore' or 'return', got {if_exists!r:.80}")
    if if_exists != "raise" and uuid is None:
        raise ValidationError(f"if_exists={if_exists!r} is about an id of your own: pass it as uuid=…")


def submit_chosen(broker: Broker, message: Message, if_exists: IfExists) -> Message | None:
    """Submit a message; return the one that stands for it if the journal holds a task of its id, else None."""
    try:
        broker.submit(message)
    except MessageAlreadyExistsError:
        if if_exists == "raise":
            raise
        return message if if_exists == "ignore" else broker.sync_from_journal(message)
    return None


async def submit_chosen_async(broker: Broker, message: Message, if_exists: IfExists) -> Message | None:
    """`submit_chosen` for asyncio."""
    try:
        await broker.asynchronous.submit(message)
    except MessageAlreadyExistsError:
        if if_exists == "raise":
            raise
        return message if if_exists == "ignore" else await broker.asynchronous.sync_from_journal(message)
    return None
