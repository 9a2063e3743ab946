"""Appends drafts that remote programs have numbered: decodes and checks them, and returns each outcome."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ...journal.errors import InvalidEvent
from ...journal.event import Draft, Event, Plain, number_all
from ...journal.http.limits import PARTS_MAX, WRITER_CHARS_MAX
from ...journal.http.wire import AnyDrafts, AppendRequest, Landed, NewDrafts, Refused, pack, request_of
from ...journal.log import Relaying
from ...journal.row_decoder import WHOLE_MAX, RowDecoder
from ..problems import Problem
from .served import told_as_bytes

_WRITER: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{WRITER_CHARS_MAX}}}", re.ASCII)
_object: Final[RowDecoder[dict[str, Any]]] = RowDecoder(dict[str, Any])
_NEWLINE: Final = b"\n"


async def append(log: Relaying, body: bytes) -> bytes:
    """Carry out the appends of a request body, and return the body of the answer; `Problem` 400 for another body."""
    try:
        request = request_of(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise Problem(400, "bad-request", f"expected appends in msgpack, see docs/service-log.md: {error}") from None
    if not _WRITER.fullmatch(request.writer) or len(request.parts) > PARTS_MAX:
        raise Problem(400, "bad-request", f"expected a writer's id and at most {PARTS_MAX:,} appends")
    parts = request.parts
    if len(parts) == 1:
        return pack([await _outcome(log, request, parts[0])])
    # All of them are begun before any is awaited, so that they share one commit, in their order.
    return pack(await asyncio.gather(*(_outcome(log, request, part) for part in parts)))


async def _outcome(log: Relaying, request: AppendRequest, part: NewDrafts | AnyDrafts) -> Landed | Refused:
    try:
        drafts = _drafts(request.writer, part)
        return _landed(drafts, await log.append_numbered(drafts, part.since))
    except Exception as error:
        return Refused(told_as_bytes(error))


def _drafts(writer: str, part: NewDrafts | AnyDrafts) -> Sequence[Draft]:
    """The drafts of an append; `InvalidEvent` for what the log itself does not check, as its callers do."""
    drafts = part.drafts
    _check_contexts(drafts)
    for version in {draft.version for draft in drafts}:
        if not 0 <= version <= WHOLE_MAX:
            raise InvalidEvent(f"the version of an event is a whole number from 0 to {WHOLE_MAX}, got {version}")
    if isinstance(part, NewDrafts):
        if not (0 < part.first <= WHOLE_MAX - len(drafts) and drafts):
            raise InvalidEvent(f"an append has events, numbered from 1 up; got {len(drafts)} from {part.first}")
        number_all(drafts, writer, part.first)
        return Plain(drafts)
    for draft in drafts:
        identities = [(draft.writer, draft.seq), *([draft.origin] if draft.origin is not None else [])]
        if not all(_WRITER.fullmatch(named) and 0 < seq <= WHOLE_MAX for named, seq in identities):
            raise InvalidEvent(f"the event {draft.name!r:.80} has no writer's id, or a number below 1")
    return drafts


def _check_contexts(drafts: Sequence[Draft]) -> None:
    """Raise `InvalidEvent` for a context that is not a JSON object on one line."""
    contexts = [draft.context for draft in drafts]
    if b"".join(contexts).find(_NEWLINE) < 0 and _object.can_decode(contexts):
        return
    for draft in drafts:
        if _NEWLINE in draft.context or _object.read(draft.context) is None:
            raise InvalidEvent(f"the context of {draft.name!r:.80} is not a JSON object on one line")


def _landed(drafts: Sequence[Draft], events: Sequence[Event]) -> Landed:
    """The places and times of the events of these drafts, in the shortest form."""
    times = [event.timestamp for event in events]
    offsets, first = [event.offset for event in events], events[0].offset
    together = len({event.partition for event in events}) == 1
    return Landed(
        events[0].partition if together else [event.partition for event in events],
        first if offsets == list(range(first, first + len(offsets))) else offsets,
        times,
        None if _keep_numbers(drafts, events) else [(event.writer, event.seq) for event in events],
    )


def _keep_numbers(drafts: Sequence[Draft], events: Sequence[Event]) -> bool:
    """Whether the events have the writers and numbers of their drafts; a log may give a conditional append others."""
    if type(drafts) is Plain:
        return events[0].seq == drafts[0].seq
    return all(
        (event.writer, event.seq) == (draft.origin or (draft.writer, draft.seq))
        for draft, event in zip(drafts, events, strict=True)
    )
