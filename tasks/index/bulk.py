"""A long stretch of one partition, read in bulk: SQLite says of each record which task it is about.

The records that it cannot sort by itself, of sessions, other programs and unusual ids, are read as in a `Batch`. What
it sorts is not decoded, so a record that the fold refuses may stand among a task's events; a reader folds these, and so
decodes them anyway. A worker's sign of life decides whether its session ended, so that record is decoded here.
"""

import itertools
import operator
from collections.abc import Mapping, Sequence
from typing import Any, Final

import apsw

from ...journal.fingerprint import fingerprint
from ...journal.limits import PAGE_EVENTS
from ...journal.log import Extracting, Log
from ..state import names
from ..state.decoding import fact
from .batch import Batch
from .entries import KINDS, NOWHERE, Mark, WorkerEvents
from .keys import RAW_KEY_BYTES_MAX
from .records import rows_at

# A line: the letter of the event's kind, then a JSON array of the ids of the task and the worker, null if there is
# none. It is empty for other events.
_LETTERS: Final = {name: chr(ord("@") + number) for name, number in KINDS.items()}
_KIND: Final = " ".join(f"WHEN '{name}' THEN '{letter}'" for name, letter in _LETTERS.items())
_LINE: Final = (
    f"ifnull(CASE CAST(event AS TEXT) ->> '$.name' {_KIND} END "
    "|| json_extract(CAST(event AS TEXT), '$.context.task', '$.context.worker'), '')"
)
# The task's id begins at the fourth byte. The limit keeps SQLite from computing its length anew at each use.
_LINES: Final = (
    "SELECT rowid AS number, value AS line, instr(substr(value, 4), X'22') - 1 AS chars FROM carray(?1) "
    "WHERE value <> X'' LIMIT -1"
)
_WORKER: Final = "substr(line, chars + 7, length(line) - chars - 8)"
_HAS_WORKER: Final = (
    f"substr(line, 1, 1) <> X'{_LETTERS[names.SUBMITTED].encode().hex()}' AND substr(line, -2) = X'225d'"
)
_IS_USUAL: Final = (
    f"substr(line, 2, 2) = X'5b22' AND chars BETWEEN 1 AND {RAW_KEY_BYTES_MAX} "  # ["
    "AND instr(line, X'5c') = 0 AND (substr(line, chars + 5) = X'2c6e756c6c5d' "  # a backslash; ,null]
    "OR (substr(line, chars + 5, 2) = X'2c22' AND substr(line, -2) = X'225d'))"  # ," and "]
)
# For each worker its last line; NULL stands for lines that are unusual, '' for those without a worker.
_SIGNS: Final = (
    f"SELECT CASE WHEN NOT ({_IS_USUAL}) THEN NULL WHEN {_HAS_WORKER} THEN {_WORKER} ELSE X'' END, max(number) "  # noqa: S608
    f"FROM ({_LINES}) GROUP BY 1"
)
_UNUSUAL: Final = f"SELECT number FROM ({_LINES}) WHERE NOT ({_IS_USUAL})"  # noqa: S608
_SIGN: Final = (
    f"SELECT ifnull(max(number), 0) FROM ({_LINES}) "  # noqa: S608
    f"WHERE number < ?3 AND {_IS_USUAL} AND {_HAS_WORKER} AND {_WORKER} = ?2"
)


# The end of a line whose worker's id is a UUID.
_ENDING: Final = operator.itemgetter(slice(-39, None))


class Bulk:
    """The events of one partition from `base` up to, not including, `next_offset`; see `Batch`.

    `lines` are those of its consecutive events, empty for the events that are in `tasks` and `keyed`.
    """

    def __init__(self, others: Batch, lines: Sequence[bytes], last: bytes, workers: Mapping[str, WorkerEvents]) -> None:
        self.partition, self.base = others.partition, others.base
        self.events = len(lines)
        self.next_offset = self.base + len(lines)
        self.fingerprint = fingerprint(last)
        self.lines = lines
        self.tasks, self.keyed = others.tasks, others.keyed
        self._workers = workers

    def workers(self) -> Mapping[str, WorkerEvents]:
        """What it holds of each worker."""
        return self._workers


async def read_bulk(log: Log, base: int, end: int, *, careful: bool = False) -> Bulk | None:
    """The events of partition 0 from `base` up to `end`, or fewer; None if they are to be read by pages.

    Each line is looked at only if one may be unusual, or if the caller is `careful`, as one could not be written.
    """
    if not isinstance(log, Extracting):
        return None
    lines, may_be_unusual = _extracted(log, base, end)
    if not lines:
        return None
    others = Batch(0, base)
    scratch = apsw.Connection(":memory:")
    latest = None if careful or may_be_unusual else _latest(lines)
    if latest is None:
        found: list[Any] = scratch.execute(_SIGNS, (_array(lines),)).fetchall()
        latest = dict(found)
    if None in latest:
        unusual: list[Any] = scratch.execute(_UNUSUAL, (_array(lines),)).fetchall()
        for (number,) in unusual:
            lines[number - 1] = b""
    offsets = [offset for offset, line in enumerate(lines, base) if not line]
    rows = await rows_at(log, 0, offsets)
    if not rows.keys() >= set(offsets):
        return None  # retention has removed them just now
    others.take_rows(offsets, [rows[offset] for offset in offsets])
    workers = _workers(scratch, lines, latest, others)
    signs = {(worker, mark.sign) for worker, found in workers.items() for mark in found.marks}
    signs |= {(worker, found.sign) for worker, found in workers.items()}
    last = base + len(lines) - 1
    rows = await rows_at(log, 0, {last, *(offset for _, offset in signs if offset != NOWHERE)})
    if last not in rows or not all(offset == NOWHERE or _is_sign(rows.get(offset), worker) for worker, offset in signs):
        return None
    return Bulk(others, lines, rows[last], workers)


def _extracted(log: Extracting, base: int, end: int) -> tuple[list[bytes], bool]:
    """The lines, and whether one holds a string that is written with escapes."""
    lines: list[bytes] = []
    has_escapes = False
    while (offset := base + len(lines)) < end:
        found = log.extract(offset, min(PAGE_EVENTS, end - offset), _LINE)
        if found is None:
            break
        lines += found[1].split(b"\n")
        has_escapes = has_escapes or b"\\" in found[1]
    return lines, has_escapes


def _latest(lines: Sequence[bytes]) -> dict[bytes | None, int] | None:
    """As `_SIGNS`, where all workers' ids are as long as a UUID; None where one is not."""
    latest: dict[bytes | None, int] = {}
    for ending, number in dict(zip(map(_ENDING, lines), itertools.count(1))).items():
        worker = ending[1:-2]
        if ending[:1] + ending[-2:] == b'""]' and b'"' not in worker:
            latest[worker] = number
        elif ending and not ending.endswith(b",null]"):
            return None
    return latest


def _array(lines: Sequence[bytes]) -> Any:
    return apsw.carray(tuple(lines))


def _workers(
    scratch: apsw.Connection, lines: Sequence[bytes], latest: Mapping[bytes | None, int], others: Batch
) -> dict[str, WorkerEvents]:
    """What the lines and the other events hold of each worker; `latest` is the number of each one's last line."""
    base = others.base
    found = others.workers()
    signs = {worker.decode(): base + number - 1 for worker, number in latest.items() if worker}
    for worker in {*found, *signs}:
        marks: list[Mark] = []
        before = NOWHERE
        events = found.get(worker, WorkerEvents((), NOWHERE))
        for mark in events.marks:
            number: Any = scratch.execute(_SIGN, (_array(lines), worker.encode(), mark.offset - base + 1)).get
            sign = max(mark.sign, base + number - 1 if number else NOWHERE)
            marks.append(mark._replace(sign=sign if sign > before else NOWHERE))
            before = mark.offset
        last = max(events.sign, signs.get(worker, NOWHERE))
        found[worker] = WorkerEvents(marks, last if last > before else NOWHERE)
    return found


def _is_sign(row: bytes | None, worker: str) -> bool:
    """Whether the fold reads a record as an event of this worker, or one in which it says that another is silent."""
    said = None if row is None else fact(row)
    return said is not None and worker in (said.context.worker, said.context.by)
