"""Telling the worker's log of the tasks that have failed: each dead letter in a line, but no storm of them."""

import logging
import time
from typing import Final

import orjson

from ...journal.limits import DEAD_LETTER_LINES_MAX, DEAD_LETTER_LINES_SECONDS, FAILURE_CHARS_MAX
from ..rules.state import TaskState

logger = logging.getLogger("journeyman.worker")

# What an exception's text holds must neither break the line nor steer a terminal.
_CONTROL: Final = dict.fromkeys(
    (*range(32), *range(127, 160), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A)), " "
)


class DeadLetters:
    """Tells of up to `DEAD_LETTER_LINES_MAX` in `DEAD_LETTER_LINES_SECONDS`, and then how many it has left out."""

    def __init__(self) -> None:
        self._until = 0.0
        self._told = 0
        self._left_out = 0

    def tell(self, task: TaskState, context: bytes) -> None:
        """A task has failed for good, with this context."""
        now = time.monotonic()
        self.sum_up(now)
        if now >= self._until:
            self._until, self._told = now + DEAD_LETTER_LINES_SECONDS, 0
        if self._told >= DEAD_LETTER_LINES_MAX:
            self._left_out += 1
            return
        self._told += 1
        logger.warning("%s has failed for good, %s", _named(task), _why(task, context))

    def sum_up(self, now: float) -> None:
        """Say how many were left out, if any were and it is time."""
        if self._left_out and now >= self._until:
            logger.warning(
                "%d more tasks have failed for good: `journeyman status` counts the dead letters", self._left_out
            )
            self._left_out = 0

    @property
    def due(self) -> float | None:
        """When (monotonic) there is something to sum up; None if there is nothing."""
        return self._until if self._left_out else None


def tell_retry(task: TaskState, context: bytes) -> None:
    """A task has failed and will be tried again."""
    if logger.isEnabledFor(logging.DEBUG):
        logger.debug("%s has failed and is tried again, %s", _named(task), _why(task, context))


def _named(task: TaskState) -> str:
    return f"task {task.name} {task.id}".translate(_CONTROL)


def _why(task: TaskState, context: bytes) -> str:
    """The attempts so far and the reason, in one line."""
    said = orjson.loads(context)
    reason = _error(said.get("exception"))
    if "hook" in said:
        reason += f"; and its do_retry or retry_at with {_error(said['hook'])}"
    line = " ".join(reason.translate(_CONTROL).split())
    attempts = f"{task.attempts} attempt" if task.attempts == 1 else f"{task.attempts} attempts"
    return f"after {attempts}: {line[:FAILURE_CHARS_MAX]}"


def _error(exception: dict[str, str] | None) -> str:
    return f"{exception['name']}: {exception['text']}" if exception else "no reason given"
