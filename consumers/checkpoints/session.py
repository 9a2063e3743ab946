"""Manage one run of a consumer with a checkpoint in the journal: save it, and detect changes by other processes."""

import logging
import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ...journal.async_journal import AsyncJournal
from ...journal.cursor import Cursor
from ...journal.event import Draft, Event, draft
from ..errors import CheckpointMoved
from .records import CHECKPOINTED, REPLAYED, Saved, position_text, replayed_event, saved_of
from .scan import newest_checkpoint

logger = logging.getLogger("journeyman")


class Replay(NamedTuple):
    """An event to deliver again, and the offset of the `consumer.replayed` that requests it."""

    event: Event
    offset: int


class CheckpointSession:
    """The use of a checkpoint by one consumer, from loading it to the consumer's end.

    `consumer` identifies the consumer in its checkpoints: host:pid:token. `moved` is the error that ends it once an
    operator has moved the checkpoint. The consumer's reader passes in the checkpoint's own events (`pass_page`).
    """

    def __init__(self, name: str, topic: str) -> None:
        self.name = name
        self.consumer = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self.partition = -1
        self.moved: CheckpointMoved | None = None
        self._topic = topic
        self._loaded = ""
        self._known = 0
        self._warned_of: set[str] = set()

    async def load(self, journal: AsyncJournal) -> Cursor | None:
        """Return the cursor of the valid checkpoint; None if there is none."""
        log = await journal.open()
        bounds = await log.bounds()
        self.partition = log.partition_of(self.name)
        self._known = bounds.end[self.partition]
        saved = await newest_checkpoint(log, self.name, bounds.first[self.partition], self._known)
        self._loaded = "" if saved is None else saved.cursor.offsets
        return None if saved is None else saved.cursor

    def draft(self, cursor: Cursor) -> Draft:
        """Return the draft that saves `cursor`; `CheckpointMoved` if the checkpoint was moved."""
        if self.moved is not None:
            raise self.moved
        self._loaded = cursor.offsets
        context = {
            "name": self.name,
            "cursor": str(cursor),
            "consumer": self.consumer,
            "topic": self._topic,
            "after": self._known - 1,
        }
        return draft(CHECKPOINTED, context, self.name)

    async def save(self, journal: AsyncJournal, cursor: Cursor) -> None:
        """Append the cursor; it counts once it is durable."""
        await journal.append_drafts([self.draft(cursor)])

    def pass_page(self, events: Sequence[Event], next_offset: int) -> Sequence[Replay]:
        """Process the next events of the checkpoint's partition; return the events to deliver again.

        A reset that was not known when the checkpoint was loaded ends the session: it sets `moved`.
        """
        replays: list[Replay] = []
        for event in [event for event in events if event.key == self.name]:
            if event.name == REPLAYED:
                original = replayed_event(event)
                if original is not None:
                    replays.append(Replay(original, event.offset))
            elif event.name == CHECKPOINTED and event.offset >= self._known:
                self._notice(event)
        self._known = max(self._known, next_offset)
        return replays

    def _notice(self, event: Event) -> None:
        saved = saved_of(event)
        if saved is None or saved.carried or saved.consumer == self.consumer:
            return
        if saved.reset:
            self.moved = self.moved or CheckpointMoved(
                f"the checkpoint {self.name!r} was moved to {saved.cursor.offsets} by {saved.by or 'an operator'} "
                f"(at {position_text(saved.position)}) while this consumer was at {self._loaded or 'its beginning'}; "
                "the checkpoints it saves no longer count. Restart the consumer: it resumes from there."
            )
        else:
            self._warn_of_sharing(saved)

    def _warn_of_sharing(self, saved: Saved) -> None:
        """Log once per other consumer that it moves this consumer's checkpoint."""
        other = saved.consumer or "a consumer of an older version"
        if other not in self._warned_of:
            self._warned_of.add(other)
            logger.warning(
                "the checkpoint %r is shared by two consumers: %s has moved it to %s, while this one, %s, was at %s. "
                "Each overwrites the other's checkpoint, so that events are skipped or repeated after a restart. Give "
                "each consumer its own checkpoint, or stop one of them.",
                self.name,
                other,
                saved.cursor.offsets,
                self.consumer,
                self._loaded or "its beginning",
            )


def reset_context(name: str, cursor: Mapping[int, int], by: str, topic: str | None) -> dict[str, Any]:
    """Return the context of an event that moves a checkpoint."""
    context: dict[str, Any] = {"name": name, "cursor": str(cursor), "reset": True, "by": by}
    return context if topic is None else {**context, "topic": topic}
