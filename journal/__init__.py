"""The journal: events, positions, the log port and its implementations. Imports no other package of Journeyman."""

from typing import TYPE_CHECKING

from ..lazy import searching

if TYPE_CHECKING:
    from .async_journal import AsyncJournal, EventItem, Reading
    from .cursor import Cursor, Position
    from .errors import (
        AppendInDoubt,
        BadJournalURL,
        DamagedRecord,
        EventConflict,
        EventTooLarge,
        HistoryTruncated,
        InvalidEvent,
        JournalClosed,
        JournalDiverged,
        JournalError,
        JournalExists,
        JournalGone,
        JournalNotFound,
        JournalReadOnly,
        JournalUnavailable,
        NotAJournal,
        PartitionsChanged,
        UnreadableRecord,
        UnsafeAccess,
        UnsafeTopic,
    )
    from .event import Draft, Event, draft
    from .journal import Journal
    from .log import Bounds, Log, Page, Tail
    from .url import log_from_url

__all__ = [
    "AsyncJournal",
    "Journal",
    "Reading",
    "EventItem",
    "Event",
    "Draft",
    "draft",
    "Position",
    "Cursor",
    "Log",
    "Tail",
    "Page",
    "Bounds",
    "log_from_url",
    "JournalError",
    "BadJournalURL",
    "InvalidEvent",
    "UnreadableRecord",
    "DamagedRecord",
    "EventTooLarge",
    "EventConflict",
    "NotAJournal",
    "JournalNotFound",
    "JournalExists",
    "UnsafeTopic",
    "UnsafeAccess",
    "JournalReadOnly",
    "JournalUnavailable",
    "JournalGone",
    "JournalClosed",
    "AppendInDoubt",
    "HistoryTruncated",
    "JournalDiverged",
    "PartitionsChanged",
]

_MODULES = (
    "errors",
    "cursor",
    "event",
    "log",
    "async_journal",
    "journal",
    "url",
)

if not TYPE_CHECKING:  # a type checker would take every name for a public one
    __getattr__, __dir__ = searching(__name__, __all__, _MODULES)
