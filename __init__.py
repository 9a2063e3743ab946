"""Journeyman: an event-sourced task queue and journal service.

One log holds everything that happened; everything else is read off it. These are the public names; the rooms are
`journal` (the log), `consumers` (following it), `tasks` (submitting and asking), `workers` (running tasks).

A room is imported when one of its names is first used: a program that submits imports no worker.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

from .lazy import searching

_ROOMS: Final = ("journal", "consumers", "tasks", "workers")

# apscheduler's triggers, by the module that is imported when one of them is first used.
_TRIGGERS: Final = {
    "CronTrigger": "apscheduler.triggers.cron",
    "DateTrigger": "apscheduler.triggers.date",
    "IntervalTrigger": "apscheduler.triggers.interval",
}

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger
    from apscheduler.triggers.date import DateTrigger
    from apscheduler.triggers.interval import IntervalTrigger

    from .consumers import (
        AsyncJournalConsumer,
        AsyncJournalConsumerBase,
        CheckpointMoved,
        JournalConsumer,
        JournalConsumerBase,
        JournalEventBase,
        Replica,
        SqliteCheckpoint,
        View,
    )
    from .journal import (
        AppendInDoubt,
        AsyncJournal,
        BadJournalURL,
        Bounds,
        Cursor,
        DamagedRecord,
        Draft,
        Event,
        EventConflict,
        EventTooLarge,
        HistoryTruncated,
        InvalidEvent,
        Journal,
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
        Position,
        UnreadableRecord,
        UnsafeAccess,
        UnsafeTopic,
    )
    from .tasks import (
        TERMINAL_TASK_STATUSES,
        AsyncBroker,
        AsyncLock,
        AsyncResultPool,
        AsyncResultStore,
        AsyncSemaphore,
        AsyncStatusTracker,
        Backoff,
        BinarySerializer,
        Broker,
        ConstantBackoff,
        Disposition,
        Effect,
        ExceptionDetails,
        ExponentialBackoff,
        JsonSerializer,
        LinearBackoff,
        Lock,
        LockAlreadyAcquiredError,
        LockNotAcquiredError,
        Message,
        MessageAlreadyExistsError,
        MessageDoesNotExistsError,
        MsgspecSerializer,
        MultipleBrokersError,
        NoTasksFoundError,
        ProcessLock,
        ResultPool,
        ResultStore,
        RetryAfter,
        RevokedError,
        SchedulingError,
        Semaphore,
        SerializationError,
        Serializer,
        StatusTracker,
        StatusTrackerIntegrityScanner,
        StatusTrackerIntegryScanner,
        StatusUpdate,
        SubmissionInDoubt,
        Task,
        TaskError,
        TaskFailedError,
        TaskNameCollisionError,
        TaskStatus,
        TerminationError,
        ThreadLock,
        TriggerTask,
        ValidationError,
        get_exception_name,
        parse_exception,
        settings2backoff,
    )
    from .tasks.decorator import task
    from .workers import (
        AsyncConsumer,
        Consumer,
        ProcessWorkerPool,
        Settings,
        StopSignalListener,
        ThreadWorkerPool,
        Worker,
        collect_tasks,
        get_logger,
        setup_logging,
        smart_cpu_count,
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
    "AsyncJournalConsumer",
    "AsyncJournalConsumerBase",
    "JournalConsumer",
    "JournalConsumerBase",
    "JournalEventBase",
    "Replica",
    "SqliteCheckpoint",
    "CheckpointMoved",
    "View",
    # living off it
    "AsyncBroker",
    "AsyncConsumer",
    "AsyncLock",
    "AsyncResultPool",
    "AsyncResultStore",
    "AsyncSemaphore",
    "AsyncStatusTracker",
    "Backoff",
    "Broker",
    "ConstantBackoff",
    "Consumer",
    "Disposition",
    "Effect",
    "ExponentialBackoff",
    "LinearBackoff",
    "Lock",
    "Message",
    "ProcessLock",
    "ProcessWorkerPool",
    "ResultPool",
    "ResultStore",
    "Semaphore",
    "Settings",
    "StatusTracker",
    "StatusTrackerIntegrityScanner",
    "StatusTrackerIntegryScanner",
    "StatusUpdate",
    "Task",
    "TaskStatus",
    "ThreadLock",
    "ThreadWorkerPool",
    "TriggerTask",
    "Worker",
    "task",
    # what arguments and results can be
    "BinarySerializer",
    "JsonSerializer",
    "MsgspecSerializer",
    "Serializer",
    # when schedules tick
    "CronTrigger",
    "DateTrigger",
    "IntervalTrigger",
    "ExceptionDetails",
    "StopSignalListener",
    "TERMINAL_TASK_STATUSES",
    "collect_tasks",
    "get_exception_name",
    "get_logger",
    "parse_exception",
    "settings2backoff",
    "setup_logging",
    "smart_cpu_count",
    # errors
    "AppendInDoubt",
    "BadJournalURL",
    "EventTooLarge",
    "EventConflict",
    "HistoryTruncated",
    "JournalDiverged",
    "PartitionsChanged",
    "InvalidEvent",
    "UnreadableRecord",
    "DamagedRecord",
    "JournalClosed",
    "JournalError",
    "JournalExists",
    "JournalReadOnly",
    "JournalUnavailable",
    "JournalGone",
    "LockAlreadyAcquiredError",
    "LockNotAcquiredError",
    "MessageAlreadyExistsError",
    "MessageDoesNotExistsError",
    "RetryAfter",
    "RevokedError",
    "TerminationError",
    "MultipleBrokersError",
    "NoTasksFoundError",
    "NotAJournal",
    "JournalNotFound",
    "SchedulingError",
    "SerializationError",
    "SubmissionInDoubt",
    "TaskError",
    "TaskFailedError",
    "TaskNameCollisionError",
    "UnsafeTopic",
    "UnsafeAccess",
    "ValidationError",
]


if not TYPE_CHECKING:  # a type checker would take every name for a public one
    _find, __dir__ = searching(__name__, __all__, _ROOMS)

    def __getattr__(name: str) -> object:
        """Import the room of a public name, or a trigger of apscheduler, when the name is first used."""
        if name in _TRIGGERS:
            return getattr(import_module(_TRIGGERS[name]), name)
        return _find(name)
