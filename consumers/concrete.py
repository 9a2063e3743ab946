"""`JournalConsumer`: the consumer of the journal's own events."""

from typing import Unpack

from ..journal.journal import Journal
from .consumer import JournalConsumerBase
from .moments import Moment
from .options import ConsumerOptions, PlainEvents
from .parking import OnError


class JournalConsumer(PlainEvents, JournalConsumerBase):
    """Follows a journal and hands out its events as `JournalEventBase`; all of them unless a topic is named.

    See `JournalConsumerBase` for the options and the methods.
    """

    def __init__(
        self,
        journal: Journal,
        topic: str = "",
        cancel_topic: str | None = None,
        full: bool = True,
        since: Moment = 0.0,
        include_sentinel: bool = False,
        *,
        on_error: OnError = None,
        **options: Unpack[ConsumerOptions],
    ) -> None:
        JournalConsumerBase.__init__(
            self, journal, topic, cancel_topic, full, since, include_sentinel, on_error=on_error, **options
        )
