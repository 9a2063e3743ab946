"""Verifies a journal's file: SQLite's structure, the positions, and each record's checksum and content."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

import apsw

from ..cursor import Cursor
from ..limits import FINDINGS_MAX, PAGE_EVENTS
from ..verification import Findings, Kind, Report, Verification
from .pages import page

T = TypeVar("T")

_STRUCTURE: Final = f"PRAGMA integrity_check({FINDINGS_MAX})"
_ENDS: Final = (
    "SELECT (SELECT min(position) FROM events), (SELECT max(position) FROM events), "
    "(SELECT value FROM kept WHERE name = 'end')"
)
# With a limit: the row behind the last one may be in a part of the file that cannot be read.
_UNCHECKED: Final = (
    "SELECT count(*) - count(checksum) FROM (SELECT checksum FROM events WHERE position > ? ORDER BY position LIMIT ?)"
)


class Reading:
    """Runs short reads through the connections of an open log, or through a separate one."""

    def __init__(self, use: Callable[[Callable[[apsw.Connection], Any]], Any]) -> None:
        self._use = use

    def __call__(self, read: Callable[[apsw.Connection], T]) -> T:
        """Return what `read` returns."""
        found: T = self._use(read)
        return found


def verify_file(reading: Reading, report: Report) -> Verification:
    """Verify the file that `reading` reads."""
    findings = Findings()
    _verify_structure(reading, findings)
    try:
        first, end, kept = reading(_ends)
    except apsw.Error as error:
        findings.add("structure", 0, -1, -1, str(error))
        first = end = kept = 0
    if first and not kept:
        findings.add("missing", 0, 0, first - 1, "no retention has removed them")
    unchecked = _verify_records(reading, findings, first, end, report)
    return Verification(
        findings.records,
        Cursor({0: first}),
        Cursor({0: end}),
        findings.until,
        unchecked,
        findings.listed,
        findings.count,
    )


def _verify_structure(reading: Reading, findings: Findings) -> None:
    try:
        lines: list[Any] = reading(lambda connection: connection.execute(_STRUCTURE).fetchall())
    except apsw.Error as error:
        lines = [(str(error),)]
    for (line,) in lines:
        if line != "ok":
            findings.add("structure", 0, -1, -1, line)


def _ends(connection: apsw.Connection) -> tuple[int, int, int]:
    """The offset of the first record, that behind the last, and the end of the last retention; 0 if there was none."""
    ends: list[Any] = connection.execute(_ENDS).fetchall()
    low, high, kept = ends[0]
    return (low - 1, high, kept or 0) if low is not None else (kept or 0, kept or 0, kept or 0)


def _verify_records(reading: Reading, findings: Findings, first: int, end: int, report: Report) -> int:
    """Verify the records from offset `first` up to `end`; return how many have no checksum."""
    at, unchecked = first, 0
    while at < end:
        positions, rows = _readable_page(reading, at, min(PAGE_EVENTS, end - at))
        whole = next((index for index, position in enumerate(positions) if position != at + index + 1), len(positions))
        if whole == 0:
            at = _over_gap(reading, findings, at, end)
            continue
        if whole < len(positions):  # a page with a gap was not compared with its checksums
            positions, rows = _readable_page(reading, at, whole)
        behind = at + len(rows)
        findings.look(0, range(at, behind), rows)
        unchecked += reading(partial(_unchecked, at=at, limit=len(rows)))
        at = behind
        report(at - first, end - first)
    return unchecked


def _unchecked(connection: apsw.Connection, at: int, limit: int) -> int:
    without: int = connection.execute(_UNCHECKED, (at, limit)).get
    return without


def _readable_page(reading: Reading, at: int, limit: int) -> tuple[list[int], list[bytes]]:
    """Read a page of the file; if a part of the file cannot be read, the readable beginning of the page."""
    while limit:
        try:
            return reading(partial(page, offset=at, limit=limit))
        except apsw.Error:
            limit //= 2
    return [], []


def _over_gap(reading: Reading, findings: Findings, at: int, end: int) -> int:
    """Add a finding that there are no records from offset `at` on, and return the offset of the next one."""
    kind: Kind = "missing"
    behind = at
    for start in range(at, end):
        try:
            positions, _ = reading(partial(page, offset=start, limit=1))
        except apsw.Error:
            kind, behind = "structure", start + 1
            continue
        behind = positions[0] - 1 if positions else end
        break
    if behind > reading(_ends)[0]:  # otherwise retention has just removed them
        reason = "no records" if kind == "missing" else "this part of the file cannot be read"
        findings.add(kind, 0, at, behind - 1, reason)
    return max(behind, at + 1)
