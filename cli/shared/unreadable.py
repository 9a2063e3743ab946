"""Report how many records of the journal a command has skipped because they are no events."""

import sys

import orjson

from ...journal.errors import UnreadableRecord
from ...tasks.inspection.wording import number, printable
from .failures import flush


class PassedOver:
    """The bad records of one command: counted, the first of them kept for the sentence at its end."""

    def __init__(self, count: int = 0, first: UnreadableRecord | None = None) -> None:
        self.count = count
        self.first = first

    def add(self, bad: UnreadableRecord) -> None:
        """Count one."""
        self.count += 1
        self.first = self.first or bad

    def print(self, *, as_json: bool = False) -> None:
        """Print on stderr how many there were, and the first of them; nothing if there were none."""
        if self.first is None:
            return
        flush()
        position = f"{self.first.partition}:{self.first.offset}"
        if as_json:
            said = {"unreadable": self.count, "first": position, "reason": self.first.reason}
            print(orjson.dumps(said).decode(), file=sys.stderr)
            return
        more = "1 record is no event and was" if self.count == 1 else f"{self.count:,} records are no events and were"
        sentence = f"{more} left out; the first stands at {position}: {self.first.reason}"
        print(f"journeyman: {printable(' '.join(sentence.split()))}", file=sys.stderr)


def print_unreadable(count: int, *, as_json: bool = False) -> None:
    """Print on stderr how many records of the journal a command could not read; nothing if it could read all."""
    if not count:
        return
    flush()
    if as_json:
        print(orjson.dumps({"unreadable": count}).decode(), file=sys.stderr)
        return
    kind, were = ("is no event", "was") if count == 1 else ("are no events", "were")
    left_out = f"{number(count, 'record')} {kind}, or not as tasks and workers write, and {were}"
    print(f"journeyman: {left_out} left out", file=sys.stderr)
