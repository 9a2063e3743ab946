"""Detect that the topic of an open journal was deleted, recreated or given more partitions.

Kafka gives each topic a unique id, which is stored when the journal is opened. Fetches and appends carry it, so a
broker refuses them once the topic was recreated (see `wire`). The id is checked periodically, and at once when a
broker reports it as unknown. A detected change ends the journal for its readers and writers.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from ..errors import JournalError, JournalGone, PartitionsChanged
from .limits import KAFKA_TOPIC_LOOK_SECONDS, KAFKA_TOPIC_MISSING_SECONDS
from .wire import Binding


class TopicSeen(NamedTuple):
    """The cluster's description of a topic: its id (None if not reported) and its number of partitions."""

    id: bytes | None
    partitions: int


class TopicIdentity:
    """Watches whether the topic is still the one opened; `look` asks the cluster and returns None if it is missing."""

    def __init__(
        self,
        topic: str,
        opened: TopicSeen,
        look: Callable[[], Awaitable[TopicSeen | None]],
        ended: Callable[[JournalError], None],
    ) -> None:
        self.error: JournalError | None = None
        self._topic = topic
        self._opened = opened
        self._look = look
        self._ended = ended
        self._suspicion = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def binding(self) -> Binding | None:
        """The binding of the clients that read and write the topic; None if the cluster reports no ids."""
        return None if self._opened.id is None else Binding(self._topic, self._opened.id, self._suspicion.set)

    def start(self) -> None:
        """Start watching; call in the loop."""
        self._task = asyncio.get_running_loop().create_task(self._watch(), name=f"journeyman-kafka-topic-{self._topic}")

    async def stop(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _watch(self) -> None:
        while self.error is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(KAFKA_TOPIC_LOOK_SECONDS):
                    await self._suspicion.wait()
            self._suspicion.clear()
            with contextlib.suppress(JournalError):  # brokers unavailable: readers and appenders report it
                error = await self._judged()
                if error is not None:
                    self.error = error
                    self._ended(error)
            await asyncio.sleep(KAFKA_TOPIC_MISSING_SECONDS / 4)  # rate limit for repeated suspicions

    async def _judged(self) -> JournalError | None:
        seen = await self._look()
        if seen is None:  # a broker that has just restarted may not know it yet
            await asyncio.sleep(KAFKA_TOPIC_MISSING_SECONDS)
            seen = await self._look()
        if seen is None:
            return JournalGone(
                f"the topic {self._topic!r}, which is open as the journal, was deleted; nothing more is read or "
                "appended. Restart to use a topic created in its place."
            )
        if seen.id is not None and self._opened.id is not None and seen.id != self._opened.id:
            return JournalGone(
                f"the topic {self._topic!r}, which is open as the journal, was deleted and recreated; nothing is read "
                "from or appended to the new one. Restart to use it."
            )
        if seen.partitions > self._opened.partitions:
            return PartitionsChanged(self._topic, self._opened.partitions, seen.partitions)
        return None
