"""Journeyman: an event-sourced task queue and journal service.

One log holds everything that happened; everything else is read off it. These are the public names; the rooms are
`journal` (the log), `consumers` (following it), `workers` (living off it).
"""

from .consumers import JournalConsumer, JournalConsumerBase, JournalEventBase
from .journal import (
    AppendInDoubt,
    AsyncJournal,
    BadJournalURL,
    Bounds,
    Cursor,
    Draft,
    Event,
    EventTooLarge,
    HistoryTruncated,
    InvalidEvent,
    Journal,
    JournalClosed,
    JournalError,
    JournalUnavailable,
    NotAJournal,
    Position,
    UnsafeTopic,
)
from .workers import (
    Backoff,
    Broker,
    ConstantBackoff,
    ExponentialBackoff,
    LinearBackoff,
    Message,
    MultipleBrokersError,
    NoTasksFoundError,
    ResultStore,
    StatusTracker,
    StatusUpdate,
    Task,
    TaskError,
    TaskFailedError,
    TaskNameCollisionError,
    TaskStatus,
    ValidationError,
    task,
)

__all__ = [
    # the log
    "AsyncJournal",
    "Bounds",
    "Cursor",
    "Draft",
    "Event",
    "Journal",
    "Position",
    # following it
    "JournalConsumer",
    "JournalConsumerBase",
    "JournalEventBase",
    # living off it
    "Backoff",
    "Broker",
    "ConstantBackoff",
    "ExponentialBackoff",
    "LinearBackoff",
    "Message",
    "ResultStore",
    "StatusTracker",
    "StatusUpdate",
    "Task",
    "TaskStatus",
    "task",
    # errors
    "AppendInDoubt",
    "BadJournalURL",
    "EventTooLarge",
    "HistoryTruncated",
    "InvalidEvent",
    "JournalClosed",
    "JournalError",
    "JournalUnavailable",
    "MultipleBrokersError",
    "NoTasksFoundError",
    "NotAJournal",
    "TaskError",
    "TaskFailedError",
    "TaskNameCollisionError",
    "UnsafeTopic",
    "ValidationError",
]
