"""The errors of a journal, ordered by the party that has to act: caller, reader or operator.

Each message states the expectation, the actual value and the remedy. `JournalError` catches them all.
"""

from datetime import UTC, datetime

from .cursor import Position


class JournalError(Exception):
    """Base of every error of this package's journals."""


class BadJournalURL(JournalError, ValueError):
    """The URL does not name a journal: the caller corrects it."""


class InvalidEvent(JournalError, ValueError):
    """An event's name, key or context breaks the rules: the caller corrects it; nothing was appended."""


class UnreadableRecord(InvalidEvent):
    """A record in the log is not an event: the reader skips it, or the operator checks the program that wrote it.

    `partition` and `offset` are its position, `record` its bytes, `reason` says what is wrong with them.
    """

    _TELLS = "the record at {0}:{1} is not an event: {2}. Was it written by another program?"

    def __init__(self, partition: int, offset: int, record: bytes, reason: str) -> None:
        super().__init__(self._TELLS.format(partition, offset, reason, offset + 1))
        self.partition = partition
        self.offset = offset
        self.record = record
        self.reason = reason

    def __reduce__(self) -> tuple[type["UnreadableRecord"], tuple[int, int, bytes, str]]:
        return type(self), (self.partition, self.offset, self.record, self.reason)


class DamagedRecord(UnreadableRecord):
    """A record in the log has changed since its append: the reader skips it, the operator verifies and restores.

    A cursor behind `offset` continues.
    """

    _TELLS = (
        "the record at {0}:{1} is damaged: {2}. Run `journeyman verify` to find other damage, restore a backup, or "
        "continue reading at {0}:{3}."
    )


class EventTooLarge(JournalError, ValueError):
    """An event or an append is over its limit in bytes or events: nothing was sent."""


class NotAJournal(JournalError):
    """The file exists and is not a journal, or one of another version: the operator names another file."""


class JournalNotFound(JournalError):
    """There is no journal there, and none was to be created: the caller corrects the name, or creates the journal."""


class JournalExists(JournalError):
    """The target of a backup or restore exists already: the caller names another one, or replaces it."""


class UnsafeTopic(JournalError):
    """A Kafka topic whose settings could lose history: the operator runs the command in the message."""


class PartitionsChanged(UnsafeTopic):
    """Partitions were added to a journal's Kafka topic: keys would move, so the topic is refused."""

    def __init__(self, topic: str, written: int, found: int) -> None:
        super().__init__(
            f"the topic {topic!r} has {found} partitions, the journal in it was written with {written}. A key's events "
            "go to a partition by its hash, so with more of them events about a task no longer reach it. Kafka cannot "
            "remove partitions: export the journal with added=ignore in its URL, which leaves the added ones out, "
            f"and import it into a new topic with partitions={written}; programs can also continue with added=ignore."
        )
        self.topic = topic
        self.written = written
        self.found = found


class JournalReadOnly(JournalError):
    """An append to a journal that this process may only read: the operator grants it write permission."""


class JournalUnavailable(JournalError):
    """The log cannot be reached, or its lock is held for too long: trying again later may succeed."""


class JournalGone(JournalUnavailable):
    """The open file of the journal was removed or replaced: trying again never succeeds, reopening it may.

    A caller that retries after `JournalUnavailable` must not retry after this error. To continue, close the journal,
    open it again, and read the new one from its beginning.
    """


class UnsafeAccess(JournalError):
    """Code of this process bypasses an open journal and uses its file directly: the caller does it another way."""


class JournalClosed(JournalError):
    """The journal was used after it was closed."""


class AppendInDoubt(JournalError):
    """It is unknown whether an append has landed: hand the same drafts to the same journal again.

    `drafts` are those handed in; repeating them never duplicates an event that has landed.
    """

    def __init__(self, message: str, drafts: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.drafts = drafts


class EventConflict(JournalError):
    """A conditional append was refused: an event stands behind the position that it expected; nothing was appended.

    `position` is that of an event found, `expected` the offset behind which none was to stand, in the same partition,
    and `key` the key of the condition (None: it concerns the whole partition). The caller reads on from `expected` and
    decides again; if several events stand behind it, the position is that of any of them.
    """

    def __init__(self, position: Position, expected: int, key: str | None) -> None:
        subject = "an event" if key is None else f"an event of the key {key!r:.80}"
        last = "no such event" if expected < 0 else f"none behind {position.partition}:{expected}"
        super().__init__(
            f"expected {last} in the journal, but {subject} stands at {position.partition}:{position.offset}; nothing "
            "was appended. Read on from the expected position and decide again."
        )
        self.position = position
        self.expected = expected
        self.key = key


class HistoryTruncated(JournalError):
    """The requested events were removed by retention.

    `partition` and `first_offset` are the beginning of the remaining history, `first_time` its time (seconds since the
    epoch by the event's own time; None if no event remains).
    """

    def __init__(
        self,
        partition: int,
        asked_offset: int,
        first_offset: int,
        first_time: float | None = None,
        advice: str = "Start from the first available position, or from a snapshot.",
    ) -> None:
        moment = "" if first_time is None else f" ({datetime.fromtimestamp(first_time, UTC).isoformat()})"
        super().__init__(
            f"history of partition {partition} begins at offset {first_offset}{moment}; offset {asked_offset} was "
            f"requested and has been removed by retention. {advice}"
        )
        self.partition = partition
        self.asked_offset = asked_offset
        self.first_offset = first_offset
        self.first_time = first_time


class JournalDiverged(JournalError, ValueError):
    """A cursor or checkpoint is of another history than this journal's, which was restored from a copy or replaced.

    Nothing was read or appended: a reader that went on would miss events, or be handed some again.

    - `partition`, `asked_offset`: the position from which reading was to continue.
    - `end_offset`: the end of that partition now.
    - `common_offset`, `common_time`: the end of the history that this journal shares with the one of the cursor, as far
      as the times of the events show, and the time of the event before it (seconds since the epoch); None if unknown.
    """

    def __init__(
        self,
        partition: int,
        asked_offset: int,
        end_offset: int,
        found: str,
        *,
        common_offset: int | None = None,
        common_time: float | None = None,
    ) -> None:
        super().__init__(
            f"the cursor {partition}:{asked_offset} does not belong to this journal: {found}. The journal was restored "
            "from a copy or replaced; nothing was read or appended. "
            f"{_common_moment(partition, common_offset, common_time)} Continue there with cursor= or since=; if a "
            "checkpoint sets the start, save that cursor in it with `journeyman consumers reset`, or with save() of a "
            "checkpoint in a database of your own."
        )
        self.partition = partition
        self.asked_offset = asked_offset
        self.end_offset = end_offset
        self.common_offset = common_offset
        self.common_time = common_time


def _common_moment(partition: int, offset: int | None, time: float | None) -> str:
    if offset is None:
        return "The last moment that both have in common is unknown; 0:0 is the beginning."
    if time is None:
        return f"The last moment that both have in common is the cursor {partition}:{offset}, as far as the times show."
    moment = datetime.fromtimestamp(time, UTC).isoformat()
    return (
        f"The last moment that both have in common is {moment}, the cursor {partition}:{offset}, as far as the times "
        "of events show."
    )
