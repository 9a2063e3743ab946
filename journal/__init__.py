"""The journal: events, positions, the log port and its implementations. Imports no other package of Journeyman."""

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
