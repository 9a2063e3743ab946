"""Merge an amendment into a submission: its record, with the metadata of the task's last `task.amended`. Pure."""

from typing import Final

import msgspec

from ..journal.row_decoder import RowDecoder
from .lookup import Found
from .state import names
from .state.view import Verdict


class _About(msgspec.Struct):
    task: str = ""
    metadata: msgspec.Raw = msgspec.Raw(b"null")


class _Event(msgspec.Struct):
    name: str
    context: _About


_events: Final = RowDecoder(_Event)
_objects: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def amended(submission: bytes, amendment: bytes) -> bytes:
    """Return the record of a submission with the metadata of the record of an amendment.

    A submission is returned as it is if it cannot be read, or if the other record is no amendment of its task.
    """
    said, first = _events.read(amendment), _events.read(submission)
    if said is None or first is None or said.name != names.AMENDED or said.context.task != first.context.task:
        return submission
    record = _objects.decode(submission)
    context = _objects.decode(record["context"])
    context["metadata"] = said.context.metadata
    record["context"] = msgspec.Raw(msgspec.json.encode(context))
    return msgspec.json.encode(record)


def last_amendment(found: Found) -> int:
    """Return the offset of the amendment that a task that was looked up has, or had when it ended; -1 for none."""
    task, rows, live = found.task, found.trace.rows, found.trace.view.amendments
    if task is None or task.id in found.trace.view.live:
        return live.get(found.trace.id, -1)
    for offset in sorted(rows, reverse=True):
        if offset > task.submitted and found.verdict(offset) is Verdict.ACCEPTED:
            said = _events.read(rows[offset])
            if said is not None and said.name == names.AMENDED:
                return offset
    return -1
