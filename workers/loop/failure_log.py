"""Log failed attempts, each in a line with its traceback, at a limited rate."""

import logging
import time
from typing import Any, Final

import orjson

from ..executors.pipeline import ClaimedTask
from ..limits import FAILURE_CHARS_MAX, FAILURE_LINES_MAX, FAILURE_LINES_SECONDS

logger = logging.getLogger("journeyman.worker")

# An exception's text must neither break the line nor control a terminal.
_CONTROL: Final = dict.fromkeys(
    (*range(32), *range(127, 160), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A)), " "
)


class FailureLog:
    """Logs up to `FAILURE_LINES_MAX` failures of a kind in `FAILURE_LINES_SECONDS`, and how many it left out."""

    def __init__(self) -> None:
        self._failed = _Lines(
            "has failed for good", "have failed for good: `journeyman status` counts the dead letters"
        )
        self._retried = _Lines("has failed and is tried again", "have failed and are tried again")

    def failed(self, task: ClaimedTask, attempts: int, context: bytes) -> None:
        """Log a task that has failed for good after so many attempts; `context` is that of the event."""
        self._failed.log(task, attempts, context)

    def retried(self, task: ClaimedTask, attempts: int, context: bytes) -> None:
        """Log a task that has failed after so many attempts and will be tried again."""
        self._retried.log(task, attempts, context)

    def sum_up(self, now: float) -> None:
        """Log how many failures were left out, if there are any and their period is over at `now` (monotonic)."""
        self._failed.sum_up(now)
        self._retried.sum_up(now)

    @property
    def due(self) -> float | None:
        """When (monotonic) to call `sum_up` next; None if no failures were left out."""
        return min((lines.due for lines in (self._failed, self._retried) if lines.due is not None), default=None)


class _Lines:
    """Lines of one kind: `one` is the text for a single task, `more` that for several."""

    def __init__(self, one: str, more: str) -> None:
        self._one = one
        self._more = more
        self._until = 0.0
        self._logged = 0
        self._left_out = 0

    @property
    def due(self) -> float | None:
        return self._until if self._left_out else None

    def log(self, task: ClaimedTask, attempts: int, context: bytes) -> None:
        now = time.monotonic()
        self.sum_up(now)
        if now >= self._until:
            self._until, self._logged = now + FAILURE_LINES_SECONDS, 0
        if self._logged >= FAILURE_LINES_MAX:
            self._left_out += 1
            return
        self._logged += 1
        said = orjson.loads(context)
        named = f"task {task.name} {task.id}".translate(_CONTROL)
        _warn(f"{named} {self._one}, {_why(attempts, said)}", said.get("exception"), task)

    def sum_up(self, now: float) -> None:
        if self._left_out and now >= self._until:
            logger.warning("%d more tasks %s", self._left_out, self._more)
            self._left_out = 0


def _warn(line: str, exception: dict[str, str] | None, task: ClaimedTask) -> None:
    """Log a line, with the traceback as text: the exception itself may have been raised in another process."""
    if not logger.isEnabledFor(logging.WARNING):
        return
    extra = {"task": task.name, "task_id": task.id}
    record = logger.makeRecord(logger.name, logging.WARNING, __file__, 0, line, (), None, extra=extra)
    record.exc_text = _printable(exception["traceback"]) if exception else None
    logger.handle(record)


def _printable(traceback: str) -> str | None:
    """Return the traceback, printable; None if it has one line only, which would repeat the error."""
    lines = [line.translate(_CONTROL).rstrip() for line in traceback.rstrip().split("\n")]
    return "\n".join(lines) if len(lines) > 1 else None


def _why(attempts: int, said: dict[str, Any]) -> str:
    """Return the attempts so far and the reason, in one line."""
    reason = _error(said.get("exception"))
    if "hook" in said:
        reason += f"; and its do_retry or retry_at with {_error(said['hook'])}"
    line = " ".join(reason.translate(_CONTROL).split())
    counted = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    return f"after {counted}: {line[:FAILURE_CHARS_MAX]}"


def _error(exception: dict[str, str] | None) -> str:
    return f"{exception['name']}: {exception['text']}" if exception else "no reason given"
