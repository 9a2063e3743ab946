"""Encode messages as the contexts of `task.submitted`, and decode them."""

import copy
from typing import Final

import msgspec

from ..journal.event import refuse_deep
from ..journal.json_values import check_plain, explain, refuse_infinite
from ..journal.row_decoder import RowDecoder
from .errors import SerializationError, ValidationError
from .message import Message
from .serializers import AnySerializer, read_back, stored, writer_named


class _Submission(msgspec.Struct):
    """The part of a `task.submitted` record that is a message."""

    context: Message


_decoder: Final = RowDecoder(_Submission)
_encoder: Final = msgspec.json.Encoder()

# The fields of a message that hold the caller's values, as errors call them.
_CALLED: Final = {
    "args": "arguments",
    "kwargs": "arguments",
    "metadata": "metadata",
    "previous_result": "previous result",
    "callback_message_data": "callback",
}


def encode_message(message: Message) -> bytes:
    """Encode a message as the context of its `task.submitted`; `ValidationError` names a value JSON cannot hold."""
    if message.serializer and (message.args or message.kwargs):
        return _encode_by(writer_named(message.serializer), message)
    try:
        if message.args:
            check_plain(message.args, "args", ranged=True)
        if message.kwargs:
            check_plain(message.kwargs, "kwargs", ranged=True)
        if message.metadata:
            check_plain(message.metadata, "metadata", ranged=True)
        if message.previous_result is not None:
            check_plain(message.previous_result, "previous_result", ranged=True)
        if message.callback_message_data is not None:
            check_plain(message.callback_message_data, "callback_message_data", ranged=True)
        encoded = _encoder.encode(message)
        refuse_deep(encoded, "it")
        refuse_infinite(
            (message.args, message.kwargs, message.metadata, message.backoff_settings, message.previous_result), encoded
        )
    except (TypeError, ValueError, RecursionError, OverflowError, msgspec.MsgspecError) as error:
        called, cause = _cause(message, error)
        by_serializer = "; or give the task or its broker a serializer=, such as MsgspecSerializer"
        raise ValidationError(
            f"the {called} of {message.task_name} cannot be written as JSON: {cause}. Pass plain data (text, numbers, "
            "lists, objects), or a reference to data stored elsewhere"
            f"{by_serializer if called == _CALLED['args'] else ''}."
        ) from error
    return encoded


def _encode_by(serializer: AnySerializer, message: Message) -> bytes:
    """Encode a message whose arguments a serializer writes: as `args` and `kwargs` if that is JSON, else `encoded`."""
    what = f"the arguments of {message.task_name}"
    said = stored(serializer, [list(message.args), message.kwargs], what)
    plain = copy.copy(message)
    plain.args, plain.kwargs = (), {}
    if not serializer.is_json:
        plain.encoded = msgspec.json.decode(said, type=str)
        return encode_message(plain)
    args, kwargs = msgspec.json.decode(said, type=tuple[msgspec.Raw, msgspec.Raw])
    context = b'%b,"args":%b,"kwargs":%b}' % (encode_message(plain)[:-1], bytes(args), bytes(kwargs))
    try:
        refuse_deep(context, what)
    except ValueError as error:
        raise SerializationError(str(error)) from error
    return context


def _cause(message: Message, error: Exception) -> tuple[str, Exception]:
    """Return which of the caller's values is at fault, and the error that names its place, if one can be found."""
    for place, called in _CALLED.items():
        try:
            explain(getattr(message, place), place)
        except ValueError as placed:
            return called, placed
    return _CALLED["args"], error


def decode_message(row: bytes) -> Message:
    """Decode the message in the record of a `task.submitted`; what a serializer has written stays as it is there."""
    return _decoder.decode(row).context


def read_arguments(message: Message, serializer: AnySerializer) -> None:
    """Read the arguments of a decoded message by its serializer; `SerializationError` if it cannot read them."""
    what = f"the arguments of {message.task_name} {message.uuid}"
    encoded, message.encoded = message.encoded, None
    if encoded is None and (not serializer.is_json or serializer.is_typed):
        return  # there are none, or they are to be converted one by one
    read = read_back(serializer, [list(message.args), message.kwargs] if encoded is None else encoded, what)
    try:
        args, kwargs = read
        message.args, message.kwargs = tuple(args), dict(kwargs)
    except (TypeError, ValueError):
        raise SerializationError(
            f"the serializer {serializer.name!r} returned {read!r:.80} for {what}; reverse has to return what forward "
            "was given, [args, kwargs]"
        ) from None
