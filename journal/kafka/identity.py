"""Notice that the topic of an open journal was deleted, made again or given more partitions.

Kafka gives each topic an id of its own. It is remembered when the journal is opened: fetches and appends name it, so a
broker refuses them once the topic is another one (see `wire`), and it is looked at now and then, and at once when a
broker says that it does not know it. What is found ends the journal for its readers and writers.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from ..errors import JournalError, JournalGone, PartitionsChanged
from .limits import KAFKA_TOPIC_LOOK_SECONDS, KAFKA_TOPIC_MISSING_SECONDS
from .wire import Binding


class TopicSeen(NamedTuple):
    """What the cluster says of a topic: its id, None if it tells none, and how many partitions it has."""

    id: bytes | None
    partitions: int


class TopicIdentity:
    """The topic that was opened, and whether it is still there; `look` asks the cluster, None means no such topic."""

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
        """What the clients that read and write the topic are bound to; None if the cluster tells no ids."""
        return None if self._opened.id is None else Binding(self._topic, self._opened.id, self._suspicion.set)

    def start(self) -> None:
        """Look from now on; call in the loop."""
        self._task = asyncio.get_running_loop().create_task(self._watch(), name=f"journeyman-kafka-topic-{self._topic}")

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _watch(self) -> None:
        while self.error is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(KAFKA_TOPIC_LOOK_SECONDS):
                    await self._suspicion.wait()
            self._suspicion.clear()
            with contextlib.suppress(JournalError):  # the brokers are away: those that read and append say so
                error = await self._judged()
                if error is not None:
                    self.error = error
                    self._ended(error)
            await asyncio.sleep(KAFKA_TOPIC_MISSING_SECONDS / 4)  # brokers that repeat themselves are not asked at once

    async def _judged(self) -> JournalError | None:
        seen = await self._look()
        if seen is None:  # a broker that has just come back may not have heard of it yet
            await asyncio.sleep(KAFKA_TOPIC_MISSING_SECONDS)
            seen = await self._look()
        if seen is None:
            return JournalGone(
                f"the topic {self._topic!r}, which is open as the journal, was deleted; nothing more is read or "
                "appended. Start again to use a topic that is made in its place."
            )
        if seen.id is not None and self._opened.id is not None and seen.id != self._opened.id:
            return JournalGone(
                f"the topic {self._topic!r}, which is open as the journal, was deleted and made again; nothing is read "
                "from or appended to the new one. Start again to use it."
            )
        if seen.partitions > self._opened.partitions:
            return PartitionsChanged(self._topic, self._opened.partitions, seen.partitions)
        return None
