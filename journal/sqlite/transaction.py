"""One transaction being prepared: its rows, and the events of the drafts in it."""

from collections.abc import Sequence

from ..event import Draft, Event
from ..timeline import Fall
from .repeats import Identity, identity_of


class Transaction:
    """The rows to be inserted from offset `first` on."""

    __slots__ = ("drafts", "events", "falls", "first", "numbered", "rows", "runs")

    def __init__(self, first: int) -> None:
        self.first = first
        self.falls: list[Fall] = []
        self.rows: list[bytes] = []
        self.events: list[Event] = []
        self.drafts: list[Draft] = []
        # The events of drafts that were numbered elsewhere: by identity, and those numbered one after the other.
        self.numbered: dict[Identity, Event] = {}
        self.runs: list[Sequence[Event]] = []

    @property
    def end(self) -> int:
        """The offset of the next row."""
        return self.first + len(self.rows)

    def has_none_of(self, writer: str) -> bool:
        """Whether it certainly holds no event that this remote writer has numbered."""
        return not self.numbered and all(run[0].writer != writer for run in self.runs)

    def found(self, draft: Draft) -> Event | None:
        """The event of a draft in this transaction, whose own numbers have no gaps; None if it is not in it."""
        if self.numbered or self.runs:
            writer, seq = identity_of(draft)
            if (event := self.numbered.get((writer, seq))) is not None:
                return event
            for run in self.runs:
                if run[0].writer == writer and 0 <= seq - run[0].seq < len(run):
                    return run[seq - run[0].seq]
        if not self.drafts or draft.writer != self.drafts[0].writer:
            return None
        index = draft.seq - self.drafts[0].seq
        return self.events[index] if 0 <= index < len(self.events) else None
