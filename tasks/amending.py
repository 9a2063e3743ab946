"""Amend a task that waits or is held: write its message's metadata into the journal, on the journal's own loop."""

from typing import Final

import msgspec

from ..journal.async_journal import AsyncJournal
from .acting import Attribution, alive, append_about, effect_of
from .disposition import Disposition, Effect
from .errors import ValidationError
from .lookup import task_lookup
from .message import Message, checked_message
from .message_encoding import decode_message, encode_message
from .state import names
from .stored_message import stored_message

_WRITTEN: Final = "metadata"
# Of these the journal has a later state than the message in a program's hands may have.
_COUNTED: Final = frozenset({"retries", "due", "expires", "exception_details"})
_NOT_COMPARED: Final = frozenset({_WRITTEN, "updated_at", "trace"})
_messages: Final = msgspec.json.Decoder(Message)


async def amend(journal: AsyncJournal, message: Message, signature: Attribution) -> Effect:
    """Append the metadata of a message, and return the effect; see `Broker.sync_to_journal`."""
    found = await task_lookup(journal).current(checked_message(message).uuid)
    task = alive(journal, message.uuid, found)
    known = stored_message(found)
    if known is None:
        raise ValidationError(
            f"the task {message.uuid!r} cannot be amended: retention has removed its submission; submit it anew"
        )
    _check_unchanged(message, known, decode_message(found.trace.rows[task.submitted]))
    event = await append_about(journal, names.AMENDED, task.id, signature, {_WRITTEN: message.metadata})
    return await effect_of(journal, task.id, event, Disposition.AMENDED, Disposition.ALREADY_ENDED)


def _check_unchanged(message: Message, known: Message, submitted: Message) -> None:
    """Refuse a message that differs in more than its metadata from the one that the journal has; it says in which."""
    own, now, first = _messages.decode(encode_message(message)).data, known.data, submitted.data
    changed = [name for name in own if name not in _NOT_COMPARED and own[name] != now[name]]
    changed = [name for name in changed if name not in _COUNTED or own[name] != first[name]]
    if changed:
        raise ValidationError(
            f"only the metadata of a submitted message can be written into the journal; {', '.join(changed)} of "
            f"{message.uuid!r} differs from what it has. Take it with broker.sync_from_journal and change its "
            "metadata; or revoke the message, and submit a duplicate() with the other changes"
        )
