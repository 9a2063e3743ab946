"""Chains of messages: each link runs when the one before it has succeeded, and is given its result.

A chain is written into the submission of its first message, its root: `callback_message_data` of each message is the
next one. The ids of the links follow from the root's, `ROOT@1`, `ROOT@2`, so that all of them are known when the root
is submitted, and belong to its partition. The worker that writes the success of one link submits the next in the same
append; see `state/chains.py` for the rule.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import orjson

from .errors import ValidationError
from .index.keys import made_at
from .limits import CHAIN_LINKS_MAX
from .message import Message, now_ms
from .message_encoding import encode_message
from .renumbering import LINKS, renumbered
from .state.routing import link_id, routing_key

# Worked out anew when the link is submitted.
_OF_SUBMISSION: Final = frozenset({"created_at", "due", "updated_at"})

Callback = Message | Sequence[Message] | None


def attach(message: Message, callback: Callback) -> None:
    """Have these messages follow `message`, one after the other, each with the links that follow it already.

    The messages get the ids of links. `ValidationError` for what is no message, has an id that the caller chose, or
    makes the chain longer than `CHAIN_LINKS_MAX`; `AttributeError` if one before the last has links of its own.
    """
    given = list(callback) if isinstance(callback, Sequence) else [callback] if callback is not None else []
    for number, each in enumerate(given):
        if not isinstance(each, Message):
            raise ValidationError(
                f"a callback is a message, made by generate(…, submit=False), or several, got {each!r:.80}"
            )
        if number < len(given) - 1 and each.callback_message_data is not None:
            raise AttributeError(f"{each.summary} has a callback of its own, so no other message can follow it here")
    links = [link for each in given for link in (each, *_links_of(each))]
    # The links of a message that was made elsewhere are known as data only.
    tail = given[-1].callback_message_data if given and not _links_of(given[-1]) else None
    if len({id(link) for link in links}) < len(links) or any(link is message for link in links):
        raise ValidationError("a message stands in a chain once: generate another one for each link")
    for link in links:
        if made_at(link.uuid) is None:
            raise ValidationError(
                f"the ids of a chain's links follow from the id of its first message, got {link.uuid!r:.80} for "
                f"{link.task_name}. Leave its uuid out, and choose that of the first message if need be"
            )
    for number, link in enumerate(links, start=1):
        link.update(uuid=link_id(message.uuid, number))
    data = None if tail is None else renumbered(tail, message.uuid, len(links) + 1)
    for link in reversed(links):
        link.callback_message_data = data
        data = _data_of(link)
    message.callback_message_data = data
    message.__dict__[LINKS] = links
    count = len(message.descendant_uuids or ())
    if count > CHAIN_LINKS_MAX:
        raise ValidationError(
            f"a chain has at most CHAIN_LINKS_MAX = {CHAIN_LINKS_MAX} links after its first message, got {count}"
        )


def _links_of(message: Message) -> list[Message]:
    links: list[Message] = message.__dict__.get(LINKS, [])
    return links


def _data_of(link: Message) -> dict[str, Any]:
    """Return the fields of a link's submission, by the names of the message's fields; the arguments as written."""
    callback, link.callback_message_data = link.callback_message_data, None
    try:
        fields: dict[str, Any] = orjson.loads(encode_message(link))
    finally:
        link.callback_message_data = callback
    fields["uuid"] = fields.pop("task")
    kept = {name: value for name, value in fields.items() if name not in _OF_SUBMISSION}
    return kept if callback is None else {**kept, "callback_message_data": callback}


def check_chain(message: Message) -> None:
    """Raise `ValidationError` if the callback of a message that is to be submitted was not made by `attach`."""
    data, number = message.callback_message_data, 0
    while data is not None:
        number += 1
        try:
            link = Message(**{**data, "callback_message_data": None})
        except TypeError as error:
            raise ValidationError(f"link {number} of the chain of {message.uuid} is no message: {error}") from error
        if link.uuid != link_id(message.uuid, number) or number > CHAIN_LINKS_MAX:
            raise ValidationError(
                f"link {number} of the chain of {message.uuid} was expected to have the id "
                f"{link_id(message.uuid, number)!r}, got {link.uuid!r:.80}. Chain messages by generate(callback=…)"
            )
        data = data.get("callback_message_data")


class NextLink(msgspec.Struct, frozen=True):
    """The next link of a chain: its id, and the encoded context of its submission."""

    id: str
    context: bytes


def next_link(message: Message, data: dict[str, Any], result: bytes) -> NextLink:
    """Return the link in `data`, which follows a message that has succeeded with the encoded `result`.

    Its delay begins now. `ValidationError` if it does not belong to the chain.
    """
    fields = dict(data)
    link = str(fields.pop("uuid", ""))
    if not link or routing_key(link) != routing_key(message.uuid):
        raise ValidationError(f"the link {link!r:.80} does not belong to the chain of {message.uuid}")
    now = now_ms()
    fields |= {
        "task": link,
        "created_at": now,
        "previous_result": orjson.Fragment(result),
        "previous_message_uuid": message.uuid,
        "progenitor_uuid": message.progenitor_uuid or message.uuid,
    }
    if message.trace is not None:
        fields["trace"] = message.trace
    if fields.get("delay"):
        fields["due"] = (now + fields["delay"]) / 1_000
    return NextLink(link, orjson.dumps(fields))


def submission_after(context: bytes, claim: int) -> bytes:
    """Return the context of a link's submission, with the token of its predecessor's success."""
    return b'%b,"after":%d}' % (context[:-1], claim)
