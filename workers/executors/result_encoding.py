"""Encode the result of a task for the event of its success, by the task's serializer and within the limits."""

from typing import Any, Final

import orjson

from ...journal.event import refuse_deep
from ...journal.json_values import explain, refuse_changed, refuse_infinite
from ...journal.limits import CONTEXT_DEPTH_MAX
from ...tasks.definition import Task
from ...tasks.large_results import piece_count
from ...tasks.limits import RESULT_BYTES_MAX, RESULT_EVENT_BYTES_MAX
from ...tasks.serializers import AnySerializer, stored

# For these types the encoder's own check suffices: it refuses whole numbers of more than 64 bits, and broken text.
_ATOMS: Final = frozenset({type(None), bool, int, str})
_SHALLOW_BYTES: Final = 2 * (CONTEXT_DEPTH_MAX - 1)


class UnserialisableResult(TypeError):
    """The task has run, but what it returned cannot be stored."""


def encode_result(task: Task[Any, Any], result: Any) -> tuple[bytes, bytes]:
    """Return the fields of a result in the context of its success, and the encoded result if it is to be split.

    `UnserialisableResult` if the task's serializer cannot write it, or if it is too large.
    """
    serializer = task.serializer
    if serializer is None and type(result) in _ATOMS:
        try:
            encoded = orjson.dumps(result)
        except (TypeError, ValueError):  # the other way says why
            encoded = _encode_result(result)
    else:
        encoded = _encode_result(result) if serializer is None else _result_by(serializer, result)
    if serializer is None and len(encoded) <= RESULT_EVENT_BYTES_MAX:
        return b',"result":%b' % encoded, b""
    by = b"" if serializer is None else b',"serializer":"%b"' % serializer.name.encode()
    if len(encoded) <= RESULT_EVENT_BYTES_MAX:
        field = b"result" if serializer is None or serializer.is_json else b"encoded"
        return b'%b,"%b":%b' % (by, field, encoded), b""
    _check_large(task, len(encoded))
    return b'%b,"parts":%d,"bytes":%d' % (by, piece_count(encoded), len(encoded)), encoded


def _check_large(task: Task[Any, Any], size: int) -> None:
    splits = task.large_results == "split"
    limit = RESULT_BYTES_MAX if splits else RESULT_EVENT_BYTES_MAX
    if size > limit:
        or_split = "" if splits else f', or give the task large_results="split", for up to {RESULT_BYTES_MAX:,} bytes'
        raise UnserialisableResult(
            f"the result takes {size:,} bytes, the limit is {limit:,}. Store it elsewhere and return a "
            f"reference{or_split}."
        )


def _encode_result(result: Any) -> bytes:
    try:
        if type(result) in _ATOMS:
            return orjson.dumps(result)
        if type(result) is not float:
            refuse_changed(result, "the result")
        encoded = orjson.dumps(result)
        if len(encoded) > _SHALLOW_BYTES:
            refuse_deep(encoded, "it", CONTEXT_DEPTH_MAX - 1)  # the outcome's context lies around it
        if encoded.find(b"null") >= 0:
            refuse_infinite(result, encoded)
    except (TypeError, ValueError, RecursionError) as error:
        raise UnserialisableResult(
            f"the result cannot be written as JSON: {_cause(result, error)}. Return plain data (text, numbers, lists, "
            "objects), or give the task or its broker a serializer=, such as MsgspecSerializer."
        ) from error
    return encoded


def _result_by(serializer: AnySerializer, result: Any) -> bytes:
    try:
        encoded = stored(serializer, result, "the result")
        refuse_deep(encoded, "it", CONTEXT_DEPTH_MAX - 1)
    except ValueError as error:
        raise UnserialisableResult(str(error)) from error
    return encoded


def _cause(result: Any, error: Exception) -> Exception:
    """Return the error that names the place of the value, if one can be found."""
    try:
        explain(result, "the result")
    except ValueError as placed:
        return placed
    return error
