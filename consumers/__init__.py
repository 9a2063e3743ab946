"""Following the log: replay, sentinel, live; views and their replicas."""

from .base import JournalConsumerBase
from .concrete import JournalConsumer
from .event import JournalEventBase
from .replica import Replica
from .responses import END_OF_HISTORY, JournalResponses, Response, ResponseSource
from .view import View

__all__ = [
    "JournalConsumer",
    "JournalConsumerBase",
    "JournalEventBase",
    "Response",
    "ResponseSource",
    "JournalResponses",
    "END_OF_HISTORY",
    "View",
    "Replica",
]
