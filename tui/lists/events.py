"""The list of the newest events, the newest first. Pure."""

from typing import Any, Final

import orjson

from ...journal.event import Event
from ...tasks.inspection.wording import day_and_time, short_id
from ...tasks.state import names
from ..cells import Cell, Column, Listing, Row, Tone, cell
from ..question import Question
from ..recent import RecentEvents, Record
from .selecting import Words, part_of

COLUMNS: Final = (
    Column("time"),
    Column("event", gives_way=True),
    Column("key"),
    Column("context", gives_way=True),
)
SORTS: Final = 0
_TONES: Final = {
    "succeeded": Tone.GOOD,
    "failed": Tone.BAD,
    "retried": Tone.WARN,
    "expired": Tone.WARN,
    "interrupted": Tone.WARN,
    "revoked": Tone.WARN,
    "beat": Tone.DIM,
}


def events(recent: RecentEvents, asked: Question) -> Listing:
    """Return the part of the list of events that is asked for."""
    words = Words(asked.words)
    found = [record for record in recent.kept if not words or words.fit(_text(record.row))]
    part = part_of(found, asked.first, asked.rows, None, descending=not asked.descending)
    rows = [_row(record) for record in part.values]
    return Listing(COLUMNS, rows, part.first, part.total, len(recent.kept), -1, asked.descending)


def _text(row: bytes) -> str:
    return row.decode("utf-8", "replace")


def _row(record: Record) -> Row:
    event, key = record.event(), f"{record.partition}:{record.offset}"
    if event is None:
        return Row(key, (cell(key), Cell("cannot be read", Tone.BAD), cell(None), cell(_text(record.row))))
    _, at = day_and_time(event.timestamp)
    tone = _TONES.get(event.name.rpartition(".")[2], Tone.PLAIN)
    cells = (Cell(at, Tone.DIM), cell(event.name, tone), cell(short_id(event.key or "")), cell(_context(event)))
    return Row(key, cells, *_task_of(event))


def _task_of(event: Event) -> tuple[str, str]:
    """Return the id and the name of the task that an event is about; empty texts if it is about none."""
    task, name = event.context.get("task"), event.context.get("task_name")
    if event.name not in names.TASK_EVENTS or not isinstance(task, str):
        return "", ""
    return task, name if isinstance(name, str) else ""


def _context(event: Event) -> str:
    """Return the context in one line, without what the key says already, and without what is empty."""
    empty: tuple[Any, ...] = (None, "", [], {}, event.key)
    return " ".join(f"{name}={_value(value)}" for name, value in event.context.items() if value not in empty)


def _value(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
