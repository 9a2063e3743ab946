"""Replay the run through a consumer, past the sentinel, until it has read that the workers left."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..consumers.consumer import JournalConsumer
from ..consumers.event import JournalEventBase
from ..journal.journal import Journal
from ..tasks.state import names
from .limits import REPLAY_WAIT_SECONDS_MAX


class History(NamedTuple):
    """The events before the sentinel, in how many seconds they were read; `cursor` is where the sentinel stood."""

    events: int
    seconds: float
    by_name: Counter[str]
    cursor: str


class Replay(NamedTuple):
    """The events that a consumer was given; `ended` says that its stream ended with None, and stayed ended."""

    history: History
    live: list[JournalEventBase]
    ended: bool


def replay(
    journal: Journal,
    begin: Mapping[int, int],
    at_sentinel: Callable[[History], object],
    leaving: set[str],
    at_live: Callable[[JournalEventBase], object],
) -> Replay:
    """Replay from `begin`; at the sentinel call `at_sentinel`, then follow until all of `leaving` have left."""
    consumer = JournalConsumer(journal, cursor=begin, include_sentinel=True)
    started = time.perf_counter()
    consumer.start()
    try:
        by_name: Counter[str] = Counter()
        while (event := consumer.poll(REPLAY_WAIT_SECONDS_MAX)) is not None and not event.is_empty():
            by_name[event.name] += 1
        seconds = time.perf_counter() - started
        history = History(
            by_name.total(), seconds, by_name, consumer.cursor.offsets if consumer.cursor is not None else ""
        )
        at_sentinel(history)
        live = _follow(consumer, set(leaving), at_live)
        consumer.stop()
        while (event := consumer.poll(REPLAY_WAIT_SECONDS_MAX)) is not None:
            live.append(event)
        return Replay(history, live, ended=consumer.poll(0) is None)
    finally:
        consumer.close()


def _follow(
    consumer: JournalConsumer, leaving: set[str], at_live: Callable[[JournalEventBase], object]
) -> list[JournalEventBase]:
    live: list[JournalEventBase] = []
    deadline = time.monotonic() + REPLAY_WAIT_SECONDS_MAX
    while leaving:
        try:
            event = consumer.poll(max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            break
        if event is None:
            break
        live.append(event)
        at_live(event)
        if event.name == names.LEFT:
            leaving.discard(event.context["worker"])
    return live
