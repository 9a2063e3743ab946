"""Converts the journal's errors to the arguments of problem documents (RFC 9457), and such documents to errors. Pure.

A document's `type` is a URN that ends with the error's class in kebab case; its member `arguments` holds the values
from which the client makes the same error.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from ..cursor import Position
from ..errors import (
    AppendInDoubt,
    EventConflict,
    EventTooLarge,
    HistoryTruncated,
    InvalidEvent,
    JournalDiverged,
    JournalError,
    JournalGone,
    JournalReadOnly,
    JournalUnavailable,
)

_URN: Final = "urn:journeyman:"
_TRUNCATED: Final = ("partition", "asked_offset", "first_offset", "first_time")
_DIVERGED: Final = ("partition", "asked_offset", "end_offset", "common_offset", "common_time")


class KeyRefused(JournalUnavailable):
    """The service does not accept the key, or asks for one: another key has to be set."""


class ProblemSeen(msgspec.Struct):
    """The members of a problem document that a client reads."""

    type: str = "about:blank"
    status: int = 500
    detail: str = ""
    arguments: dict[str, Any] = msgspec.field(default_factory=dict)


_read: Final = msgspec.json.Decoder(ProblemSeen)


def arguments_of(error: Exception) -> dict[str, Any]:
    """Return what a document has to hold so that `error_from` makes the same error; empty if its kind is enough."""
    if isinstance(error, EventConflict):
        at = error.position
        return {"partition": at.partition, "offset": at.offset, "expected": error.expected, "key": error.key}
    if isinstance(error, HistoryTruncated):
        return {name: getattr(error, name) for name in _TRUNCATED}
    if isinstance(error, JournalDiverged):
        return {name: getattr(error, name) for name in _DIVERGED}
    return {}


def error_from(body: bytes, status: int, place: str) -> Exception:
    """Return the error that a problem document tells of; `place` is the address of the service, for messages."""
    try:
        seen = _read.decode(body)
    except msgspec.MsgspecError:
        seen = ProblemSeen(status=status, detail="there is no problem document with it")
    try:
        made = _KINDS.get(seen.type.removeprefix(_URN), _by_status)(seen, place)
    except (KeyError, TypeError, ValueError):  # another version's; its sentence still says what is wrong
        made = JournalError(f"the journal service at {place} answers: {seen.detail}")
    return made


def _conflict(seen: ProblemSeen, _: str) -> Exception:
    given = seen.arguments
    return EventConflict(Position(given["partition"], given["offset"]), given["expected"], given["key"])


def _truncated(seen: ProblemSeen, _: str) -> Exception:
    return HistoryTruncated(*(seen.arguments[name] for name in _TRUNCATED))


def _diverged(seen: ProblemSeen, _: str) -> Exception:
    partition, asked, end, common, time = (seen.arguments[name] for name in _DIVERGED)
    found = f"partition {partition} ends at offset {end}, or another event stands there"
    return JournalDiverged(partition, asked, end, found, common_offset=common, common_time=time)


def _gone(_: ProblemSeen, place: str) -> Exception:
    return JournalGone(
        f"the journal behind the service at {place} was removed or replaced. Close the journal, open it again, and "
        "read the new one from its beginning."
    )


def _in_doubt(_: ProblemSeen, place: str) -> Exception:
    return AppendInDoubt(f"the service at {place} does not know whether the append has landed: append it again")


def _unavailable(seen: ProblemSeen, place: str) -> Exception:
    return JournalUnavailable(f"the journal service at {place} is not available ({seen.status}): {seen.detail}")


def _unauthorized(seen: ProblemSeen, place: str) -> Exception:
    return KeyRefused(
        f"the journal service at {place} does not accept the key: set it in the URL, http://:KEY@host:port, or in "
        f"JOURNEYMAN_KEY. It says: {seen.detail}"
    )


def _forbidden(seen: ProblemSeen, place: str) -> Exception:
    return JournalReadOnly(f"the journal service at {place} does not permit this with that key: {seen.detail}")


def _by_status(seen: ProblemSeen, place: str) -> Exception:
    if seen.status in (429, 502, 503, 504):
        return _unavailable(seen, place)
    return JournalError(f"the journal service at {place} answers with the status {seen.status}: {seen.detail}")


_KINDS: Final[dict[str, Callable[[ProblemSeen, str], Exception]]] = {
    "event-conflict": _conflict,
    "history-truncated": _truncated,
    "journal-diverged": _diverged,
    "journal-gone": _gone,
    "append-in-doubt": _in_doubt,
    "journal-unavailable": _unavailable,
    "invalid-event": lambda seen, _: InvalidEvent(seen.detail),
    "event-too-large": lambda seen, _: EventTooLarge(seen.detail),
    "bad-cursor": lambda seen, _: ValueError(seen.detail),
    "unauthorized": _unauthorized,
    "forbidden": _forbidden,
    "journal-read-only": _forbidden,
}
