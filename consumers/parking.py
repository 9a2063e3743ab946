"""Parking: set aside an event for which a consumer's callback keeps failing, and continue with the next."""

import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
import orjson

from ..journal.async_journal import AsyncJournal
from ..journal.cursor import Cursor, Position
from ..journal.errors import AppendInDoubt, HistoryTruncated, InvalidEvent
from ..journal.event import Draft, check, draft
from ..journal.fingerprint import fingerprint, fingerprint_of
from ..journal.log import Log
from .checkpoint import JournalCheckpoint
from .checkpoints.records import PARKED, position_text
from .checkpoints.session import CheckpointSession
from .event import JournalEventBase, event_from_entry
from .limits import (
    APPEND_REPEATS_MAX,
    PARK_ATTEMPTS_DEFAULT,
    PARK_ATTEMPTS_MAX,
    PARK_BACKOFF_SECONDS,
    PARK_BACKOFF_SECONDS_MAX,
    PARKED_EVENT_BYTES_MAX,
    PARKED_LINE_CHARS_MAX,
    PARKED_TEXT_CHARS_MAX,
    PARKED_TRACEBACK_CHARS_MAX,
)

logger = logging.getLogger("journeyman")


PARK: Final = "park"
RAISE: Final = "raise"

# What a consumer does when its callback fails: end the delivery and raise, also call a function, or park the event.
OnError = Callable[[BaseException], object] | str | None


class Parking:
    """Defines how often a callback is tried with one event and the backoff, and parks the event after that."""

    def __init__(self, attempts: int) -> None:
        self.attempts = attempts

    def waits(self) -> Iterator[float]:
        """Yield the seconds to wait before each further attempt: twice as long each time, up to a limit."""
        wait = PARK_BACKOFF_SECONDS
        for _ in range(self.attempts - 1):
            yield wait
            wait = min(2 * wait, PARK_BACKOFF_SECONDS_MAX)

    def can_park(self, event: JournalEventBase | None, error: BaseException) -> bool:
        """Whether the failure can be parked: it is not an interruption, and the event has a position."""
        return isinstance(error, Exception) and event is not None and event.position is not None

    async def park(
        self,
        journal: AsyncJournal,
        session: CheckpointSession,
        cursor: Cursor,
        event: JournalEventBase,
        error: BaseException,
    ) -> None:
        """Park the event and move the checkpoint past it, in one append: both become durable, or neither."""
        position = event.position
        assert position is not None
        row = await _recorded(journal, event, position)
        context: dict[str, Any] = {
            "name": session.name,
            "position": position_text(position),
            "attempts": self.attempts,
            "error": _details(error),
            "consumer": session.consumer,
            "event": orjson.Fragment(row),
        }
        try:
            parked = Draft(PARKED, orjson.dumps(context), session.name)
            check(parked)
        except InvalidEvent:  # its context is nested to the limit and cannot be nested deeper: store it as text
            parked = draft(PARKED, {**context, "event": row.decode()}, session.name)
        await _append(journal, [parked, session.draft(cursor)])


async def _append(journal: AsyncJournal, drafts: list[Draft]) -> None:
    """Append the drafts; if the outcome is unknown, append the same drafts again, which is idempotent."""
    for _ in range(APPEND_REPEATS_MAX):
        try:
            await journal.append_drafts(drafts)
        except AppendInDoubt:
            continue
        return
    await journal.append_drafts(drafts)


async def _recorded(journal: AsyncJournal, event: JournalEventBase, position: Position) -> bytes:
    """Return the event as JSON, as stored in the journal; if it was removed, as delivered to the consumer."""
    made = event_from_entry(event)
    row = await _row_at(await journal.open(), position)
    if row is None or (made.writer and fingerprint(row) != fingerprint_of(made.writer, made.seq)):
        row = msgspec.json.encode(made)  # it was removed, or parked in another journal and replayed here
    if len(row) > PARKED_EVENT_BYTES_MAX:
        raise ValueError(
            f"the event at {position_text(position)} has {len(row):,} bytes; an event of more than "
            f"PARKED_EVENT_BYTES_MAX = {PARKED_EVENT_BYTES_MAX:,} cannot be parked"
        )
    return row


async def _row_at(log: Log, position: Position) -> bytes | None:
    if position.partition not in (await log.bounds()).end:
        return None
    try:
        pages = await log.read({position.partition: position.offset}, 1)
    except HistoryTruncated:
        return None
    return pages[0].rows[0] if pages and pages[0].offsets[0] == position.offset else None


def _details(error: BaseException) -> dict[str, str]:
    """Return name, text and traceback of an exception, within limits; the exception's own code may fail."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    trace = _shown(lambda: "".join(traceback.format_exception(error)))
    return {
        "name": name[:PARKED_TEXT_CHARS_MAX],
        "text": _shown(lambda: str(error))[:PARKED_TEXT_CHARS_MAX],
        "traceback": trace[-PARKED_TRACEBACK_CHARS_MAX:],
    }


def _shown(text: Callable[[], str]) -> str:
    try:
        return text().encode("utf-8", "replace").decode()
    except Exception:
        return "(cannot be shown)"


def _in_one_line(text: str) -> str:
    """Return the text without line breaks and control characters, which could break a log line or a terminal."""
    return "".join(each if each.isprintable() else " " for each in " ".join(text.split()))


def log_parked(name: str, event: JournalEventBase, error: BaseException, attempts: int) -> None:
    """Log that an event was parked."""
    assert event.position is not None
    logger.warning(
        "the consumer %r parked the event %s at %s after %s and continues: %s: %s",
        name,
        event.name,
        position_text(event.position),
        f"{attempts:,} failed attempt{'' if attempts == 1 else 's'}",
        type(error).__name__,
        _in_one_line(_shown(lambda: str(error)))[:PARKED_LINE_CHARS_MAX],
    )


def checked_parking(
    on_error: OnError, attempts: int | None, checkpoint: object, kind: str
) -> tuple[Parking | None, Callable[[BaseException], object] | None]:
    """Return how to park (None unless requested) and the callable for an error that ends the delivery."""
    if on_error is not None and not callable(on_error) and on_error not in (PARK, RAISE):
        raise ValueError(
            f"on_error is 'raise' (the default), 'park', or a callable that takes the error; got {on_error!r:.80}"
        )
    if on_error != PARK:
        if attempts is not None:
            raise ValueError(
                "attempts is how often a callback is tried before its event is parked: it needs on_error='park'"
            )
        return None, on_error if callable(on_error) else None
    if not isinstance(checkpoint, JournalCheckpoint):
        raise TypeError(
            f"on_error='park' stores events under the name of a checkpoint in the journal: create the {kind} with "
            f"checkpoint='a-name', got {checkpoint!r:.80}"
        )
    attempts = PARK_ATTEMPTS_DEFAULT if attempts is None else attempts
    if isinstance(attempts, bool) or not isinstance(attempts, int) or not 1 <= attempts <= PARK_ATTEMPTS_MAX:
        raise ValueError(f"attempts is a whole number from 1 to {PARK_ATTEMPTS_MAX:,}, got {attempts!r:.80}")
    return Parking(attempts), None
