"""Consumers that follow the log (history, sentinel, live events), and views with their replicas."""

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
