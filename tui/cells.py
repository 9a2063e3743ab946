"""What the screen shows, without a widget: cells with a tone, rows, listings and lines. Pure."""

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from ..tasks.inspection.wording import printable
from .limits import CELL_CHARS_MAX


class Tone(Enum):
    """What a text says by its colour; the theme, or the terminal, chooses the colour."""

    PLAIN = ""
    DIM = "dim"
    STRONG = "bold"
    GOOD = "green"
    WARN = "yellow"
    BAD = "bold red"
    LINE = "cyan"
    MARK = "bold reverse"


class Cell(NamedTuple):
    """A text in one line and its tone."""

    text: str
    tone: Tone = Tone.PLAIN


Line = Sequence[Cell]
NOTHING = Cell("-", Tone.DIM)


def cell(text: object, tone: Tone = Tone.PLAIN) -> Cell:
    """Return a cell of a text from the journal, in one line, shortened; a dash for None and an empty text."""
    if text is None or text == "":
        return NOTHING
    return Cell(printable(str(text)[:CELL_CHARS_MAX]), tone)


def count(number: int, tone: Tone = Tone.PLAIN) -> Cell:
    """Return a cell of a number; one that is 0 is dim."""
    return Cell(f"{number:,}", tone if number else Tone.DIM)


class Column(NamedTuple):
    """A column: its title, whether it is aligned right, gives way on a narrow screen, or is on wide ones only."""

    title: str
    right: bool = False
    gives_way: bool = False
    wide: bool = False


class Row(NamedTuple):
    """A row: its key, its cells, and the task that it is about, with that task's name; empty if it is about none."""

    key: str
    cells: Sequence[Cell]
    task: str = ""
    name: str = ""


class Listing(NamedTuple):
    """The rows from number `first` on, of `total` that fit the filter, of `everything`.

    `sorted_by` is the number of the column by which they are sorted; -1 for the order of the log. `selected_at` is when
    they were selected, if that is not at present.
    """

    columns: Sequence[Column]
    rows: Sequence[Row]
    first: int
    total: int
    everything: int
    sorted_by: int = -1
    descending: bool = False
    selected_at: float | None = None
