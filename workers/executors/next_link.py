"""Make the submission of the next link when a task of a chain has succeeded."""

from typing import Any

import msgspec

from ...tasks.chains import NextLink, next_link
from ...tasks.definition import Task
from ...tasks.message import Message
from ..limits import LINK_BYTES_MAX
from .result_encoding import UnserialisableResult


class _Said(msgspec.Struct):
    """The result as JSON; empty if it is written in another way, or split."""

    result: msgspec.Raw = msgspec.Raw()


def link_after(task: Task[Any, Any], message: Message, result: Any, detail: bytes) -> NextLink | None:
    """Return the link that follows a message with a callback; None if the task's `do_callback` stops the chain.

    `detail` are the encoded fields of the result. `UnserialisableResult` if the link cannot be given the result.
    """
    if message.callback_message_data is None or not task.do_callback(message, result):
        return None
    encoded = bytes(msgspec.json.decode(b"{%b}" % detail[1:], type=_Said).result)
    if not encoded:
        raise UnserialisableResult(
            "the next link of a chain is given JSON that fits its event, and the result was split, or written by a "
            "serializer that writes no JSON. Store it elsewhere and return a reference"
        )
    link = next_link(message, message.callback_message_data, encoded)
    if len(link.context) > LINK_BYTES_MAX:
        raise UnserialisableResult(
            f"the result takes {len(encoded):,} bytes, and with it the submission of the next link {link.id} "
            f"takes {len(link.context):,}: the limit is {LINK_BYTES_MAX:,}. Store it elsewhere and return a reference."
        )
    return link
