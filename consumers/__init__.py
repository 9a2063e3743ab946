"""Following the log: replay, sentinel, live; views and their replicas."""

from .as_of import as_of
from .asynchronous import AsyncJournalConsumer, AsyncJournalConsumerBase
from .base import JournalConsumerBase
from .checkpoint import Checkpoint, JournalCheckpoint, SqliteCheckpoint
from .concrete import JournalConsumer
from .definition import ConsumerOptions
from .event import JournalEventBase
from .replica import Replica
from .responses import END_OF_HISTORY, JournalResponses, Response, ResponseSource
from .statistics import Statistics
from .view import View

__all__ = [
    "JournalConsumer",
    "JournalConsumerBase",
    "JournalEventBase",
    "AsyncJournalConsumer",
    "AsyncJournalConsumerBase",
    "ConsumerOptions",
    "Checkpoint",
    "JournalCheckpoint",
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
