"""Consumers that follow the log (history, sentinel, live events), and views with their replicas."""

from typing import TYPE_CHECKING

from ..lazy import searching

if TYPE_CHECKING:
    from .async_consumer import AsyncJournalConsumer, AsyncJournalConsumerBase
    from .checkpoint import Checkpoint, JournalCheckpoint, SqliteCheckpoint
    from .consumer import JournalConsumer, JournalConsumerBase
    from .errors import CheckpointMoved
    from .event import JournalEventBase
    from .options import ConsumerOptions
    from .responses import END_OF_HISTORY, JournalResponses, Response, ResponseSource
    from .statistics import Statistics
    from .views.as_of import as_of
    from .views.replica import Replica
    from .views.view import View

__all__ = [
    "JournalConsumer",
    "JournalConsumerBase",
    "JournalEventBase",
    "AsyncJournalConsumer",
    "AsyncJournalConsumerBase",
    "ConsumerOptions",
    "Checkpoint",
    "JournalCheckpoint",
    "CheckpointMoved",
    "SqliteCheckpoint",
    "Statistics",
    "Response",
    "ResponseSource",
    "JournalResponses",
    "END_OF_HISTORY",
    "View",
    "Replica",
    "as_of",
]

_MODULES = (
    "errors",
    "event",
    "options",
    "statistics",
    "views.view",
    "responses",
    "views.as_of",
    "views.replica",
    "checkpoint",
    "consumer",
    "async_consumer",
)

if not TYPE_CHECKING:  # a type checker would take every name for a public one
    __getattr__, __dir__ = searching(__name__, __all__, _MODULES)
