"""Encode what a running task reports of its progress, within the limits, and read it from its events."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import orjson

from ..journal.event import refuse_deep
from ..journal.json_values import check_plain, refuse_infinite
from ..journal.row_decoder import RowDecoder
from .errors import TaskError, ValidationError
from .limits import (
    PROGRESS_EVENTS_PER_SECOND,
    PROGRESS_FULL_RATE_SECONDS,
    PROGRESS_INTERVAL_SECONDS_MAX,
    PROGRESS_TEXT_CHARS_MAX,
    PROGRESS_VALUE_BYTES_MAX,
)

# Where a message keeps what takes its reports while its task runs.
REPORTER: Final = "reporter"


class _Reported(msgspec.Struct):
    progress: Any = msgspec.UNSET
    value: Any = msgspec.UNSET


class _ReportedEvent(msgspec.Struct):
    context: _Reported


_decoder: Final = RowDecoder(_ReportedEvent)


def report(fields: Mapping[str, Any], name: str, encoded: bytes) -> None:
    """Hand an encoded report of that name to what takes those of the message whose further `fields` are given."""
    reporter = fields.get(REPORTER)
    if reporter is None:
        raise TaskError(
            "progress is reported while the task runs, by the message that its function or hook is passed; this is no "
            "message of a running task. Another program reports by StatusTracker.set"
        )
    reporter(name, encoded)


def report_interval(running: float) -> float:
    """Return the least time between two written reports of a task that has been `running` for so long, in seconds.

    It grows in proportion, so the number of reports in the journal grows with the logarithm of that time, until the
    interval has reached its maximum.
    """
    grown = running / (PROGRESS_FULL_RATE_SECONDS * PROGRESS_EVENTS_PER_SECOND)
    return min(max(grown, 1 / PROGRESS_EVENTS_PER_SECOND), PROGRESS_INTERVAL_SECONDS_MAX)


def encoded_progress(done: object, total: object, text: object) -> bytes:
    """Return a report of progress as JSON; `ValidationError` for values of another kind, or a text that is too long."""
    if not _is_amount(done) or not (total is None or _is_amount(total)):
        raise ValidationError(
            f"done and total are numbers from 0 up, total may be None; got done={done!r:.80}, total={total!r:.80}"
        )
    if not isinstance(text, str) or len(text) > PROGRESS_TEXT_CHARS_MAX:
        raise ValidationError(
            f"the text of a report of progress is a string of at most {PROGRESS_TEXT_CHARS_MAX} characters, "
            f"got {text!r:.80}" + (f"… of {len(text):,}" if isinstance(text, str) else "")
        )
    fields = {"done": done, **({} if total is None else {"total": total}), **({"text": text} if text else {})}
    return _json(fields, "progress")


def encoded_value(value: object) -> bytes:
    """Return an emitted value as JSON; `ValidationError` if JSON cannot hold it, or it is too large."""
    encoded = _json(value, "value")
    if len(encoded) > PROGRESS_VALUE_BYTES_MAX:
        raise ValidationError(
            f"an emitted value takes at most {PROGRESS_VALUE_BYTES_MAX:,} bytes as JSON, got {len(encoded):,}: return "
            "large data as the result, or emit where it is stored"
        )
    return encoded


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")


def _json(value: object, what: str) -> bytes:
    try:
        check_plain(value, what, ranged=True)
        encoded = orjson.dumps(value)
        refuse_deep(encoded, "it")
        refuse_infinite(value, encoded)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValidationError(f"the {what} cannot be written as JSON: {error}") from error
    return encoded


def reported_in(row: bytes | None) -> dict[str, Any]:
    """Return the fields `progress` and `value` in the record of a `task.progressed`, as far as it has them."""
    read = _decoder.read(row) if row is not None else None
    if read is None:
        return {}
    said = {"progress": read.context.progress, "value": read.context.value}
    return {name: value for name, value in said.items() if value is not msgspec.UNSET}


def progress_in_words(context: Mapping[str, Any]) -> str:
    """Return the progress in the context of a `task.progressed` in one line: "45 of 100: resizing"."""
    progress = context.get("progress")
    words: list[str] = []
    if isinstance(progress, Mapping):
        done, total, text = progress.get("done"), progress.get("total"), progress.get("text")
        amount = f"{done} of {total}" if total is not None else f"{done}"
        words.append(f"{amount}: {' '.join(str(text).split())}" if text else amount)
    if "value" in context:
        words.append(f"value {orjson.dumps(context['value']).decode()}")
    return ", ".join(words)
