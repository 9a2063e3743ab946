"""Answers to acts on tasks and queues, and to submissions."""

import msgspec

from ...journal.cursor import Position
from ..disposition import Effect
from ..message import Message


class ActAnswer(msgspec.Struct, frozen=True):
    """What became of a task by an act: the disposition, such as "not_a_dead_letter".

    `position` is the partition and the offset of the event that was appended.
    """

    task: str
    disposition: str
    position: tuple[int, int]


class WouldAnswer(msgspec.Struct, frozen=True):
    """A task that would be acted on; nothing was appended."""

    task: str
    dry_run: bool = True


class SubmissionAnswer(msgspec.Struct, frozen=True):
    """A task that was submitted: its id, the name of its function, its queue, and the position of the event."""

    task: str
    name: str
    queue: str
    position: tuple[int, int]


class QueueChangeAnswer(msgspec.Struct, frozen=True):
    """A queue after a pause or a resumption; `changed` is false if it was paused, or not paused, already."""

    queue: str
    paused: bool
    changed: bool


def acted(task_id: str, effect: Effect) -> ActAnswer:
    """Return the answer to an act on a task."""
    return ActAnswer(task_id, effect.disposition.name.lower(), _pair(effect.position))


def submitted(message: Message, position: Position) -> SubmissionAnswer:
    """Return the answer to the submission of a message, at that position."""
    return SubmissionAnswer(message.uuid, message.task_name, message.queue, _pair(position))


def _pair(position: Position) -> tuple[int, int]:
    return position.partition, position.offset
