"""`JournalConsumer`: the consumer of the journal's own events."""

from collections.abc import Callable, Mapping
from typing import Any

from ..journal.synchronous import Journal
from .base import JournalConsumerBase
from .definition import PlainEvents


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
        since: float = 0.0,
        include_sentinel: bool = False,
        *,
        cursor: Mapping[int, int] | str | None = None,
        key: str | None = None,
        where: Callable[[Any], object] | None = None,
        on_error: Callable[[BaseException], object] | None = None,
    ) -> None:
        JournalConsumerBase.__init__(
            self,
            journal,
            topic,
            cancel_topic,
            full,
            since,
            include_sentinel,
            cursor=cursor,
            key=key,
            where=where,
            on_error=on_error,
        )
