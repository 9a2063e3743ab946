"""Verifies a log: decodes every record, checks the order of positions and of each writer's numbers.

A log with a file of its own also verifies that file (`SelfVerifying`); of other logs the records that readers see are
verified. Nothing is changed, and writers may append meanwhile: the records that existed at the beginning are verified.
"""

from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple, Protocol, runtime_checkable

from .cursor import Cursor
from .errors import DamagedRecord
from .event_decoding import readable
from .limits import FINDINGS_MAX, PAGE_EVENTS, VERIFY_WRITERS_MAX
from .log import Log

Kind = Literal["damaged", "unreadable", "missing", "repeated", "structure"]
Report = Callable[[int, int], None]  # called with the number of records verified, and of all

_NOTHING: Final = ""


class Finding(NamedTuple):
    """A defect, and its records: the offsets from `first` to `last`, both included.

    - `damaged`: the record's checksum does not match.
    - `unreadable`: the record is intact but not an event, such as one that another program has written.
    - `missing`: positions without records, which retention has not removed.
    - `repeated`: the writer's number is not above that of its event before.
    - `structure`: of the file itself; it has no position (-1).
    """

    kind: Kind
    partition: int
    first: int
    last: int
    detail: str

    @property
    def where(self) -> str:
        """The position, or the first and the last; empty if it has none."""
        if self.first < 0:
            return _NOTHING
        first = f"{self.partition}:{self.first}"
        return first if self.first == self.last else f"{first} to {self.partition}:{self.last}"


class Verification(NamedTuple):
    """The result of a verification.

    - `records`: the number of records between the positions `first` and `end`.
    - `until`: the latest time of an event, in seconds since the epoch; None if there is none.
    - `unchecked`: the number of records of a version that wrote no checksums; 0 for a log with other checksums.
    - `findings`: the first `FINDINGS_MAX` of them; `found` counts all.
    """

    records: int
    first: Cursor
    end: Cursor
    until: float | None
    unchecked: int
    findings: Sequence[Finding]
    found: int

    @property
    def is_sound(self) -> bool:
        """Whether no defect was found."""
        return self.found == 0


@runtime_checkable
class SelfVerifying(Protocol):
    """A log that can verify the storage beneath its records."""

    async def verify(self, report: Report) -> Verification:
        """Verify all records that exist now."""
        ...


class Findings:
    """Collects findings in bounded memory, and verifies the records of one partition after the other."""

    def __init__(self) -> None:
        self.listed: list[Finding] = []
        self.count = 0
        self.records = 0
        self.until: float | None = None
        self._numbers: dict[tuple[int, str], int] = {}  # the last number of each partition's writers

    def add(self, kind: Kind, partition: int, first: int, last: int, detail: str) -> None:
        """Add a finding."""
        self.count += 1
        if len(self.listed) < FINDINGS_MAX:
            self.listed.append(Finding(kind, partition, first, last, detail))

    def look(self, partition: int, offsets: Sequence[int], rows: Sequence[bytes]) -> None:
        """Verify the next page of records."""
        self.records += len(rows)
        events, bad = readable(rows, partition, offsets, contexts=True)
        for error in bad:
            kind: Kind = "damaged" if isinstance(error, DamagedRecord) else "unreadable"
            self.add(kind, partition, error.offset, error.offset, error.reason)
        numbers = self._numbers
        for event in events:
            if event.seq and event.writer:
                writer = (partition, event.writer)
                last = numbers.get(writer, 0)
                if event.seq <= last:
                    detail = f"number {event.seq} of the writer {event.writer} after its number {last}"
                    self.add("repeated", partition, event.offset, event.offset, detail)
                numbers[writer] = max(last, event.seq)
        if events:
            latest = max(event.timestamp for event in events)
            self.until = latest if self.until is None else max(self.until, latest)
        while len(numbers) > VERIFY_WRITERS_MAX:
            del numbers[next(iter(numbers))]


async def verify(log: Log, report: Report) -> Verification:
    """Verify an open log; `report(done, all)` is called with the number of records verified."""
    if isinstance(log, SelfVerifying):
        return await log.verify(report)
    bounds = await log.bounds()
    spans = {partition: bounds.end[partition] - bounds.first[partition] for partition in range(log.partitions)}
    findings, done = Findings(), 0
    for partition in range(log.partitions):
        offset, end = bounds.first[partition], bounds.end[partition]
        while offset < end:
            pages = await log.read({partition: offset}, PAGE_EVENTS)
            if not pages:  # the remaining offsets have no records, as behind a transaction of another program
                break
            within = [index for index, at in enumerate(pages[0].offsets) if at < end]
            rows = [pages[0].rows[index] for index in within]
            findings.look(partition, [pages[0].offsets[index] for index in within], rows)
            done += pages[0].next_offset - offset
            offset = pages[0].next_offset
            report(min(done, sum(spans.values())), sum(spans.values()))
    return Verification(findings.records, bounds.first, bounds.end, findings.until, 0, findings.listed, findings.count)
