"""Lay out listings and lines for a width of the screen. Pure."""

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from .cells import Cell, Column, Line, Listing, Tone
from .limits import CELL_COLUMNS_MIN, WIDE_COLUMNS_MIN

_GAP = "  "


def shown_columns(columns: Sequence[Column], width: int) -> list[int]:
    """Return the numbers of the columns that a screen of that width shows."""
    return [number for number, column in enumerate(columns) if width >= WIDE_COLUMNS_MIN or not column.wide]


def widths(listing: Listing, width: int) -> dict[int, int]:
    """Return the width of each column that is shown, as many as fit: those that give way are cut first, then left out.

    What is left of the width goes to the last column, if that is one that gives way.
    """
    shown = shown_columns(listing.columns, width)
    natural = {number: _natural(listing, number) for number in shown}
    giving = [number for number in shown if listing.columns[number].gives_way]
    over = sum(natural.values()) + len(_GAP) * (len(shown) - 1) - width
    while over > 0 and giving:
        widest = max(giving, key=lambda number: natural[number])
        cut = min(over, max(1, natural[widest] - _second(natural, giving, widest)), natural[widest] - CELL_COLUMNS_MIN)
        if cut <= 0:
            break
        natural[widest] -= cut
        over -= cut
    while over > 0 and len(natural) > 1:
        last = max(natural)
        over -= natural.pop(last) + len(_GAP)
    if over < 0 and natural and listing.columns[max(natural)].gives_way:
        natural[max(natural)] -= over
    return natural


def _natural(listing: Listing, number: int) -> int:
    # The mark of the order takes two columns of the title.
    title = cell_len(listing.columns[number].title) + 2 * (number == listing.sorted_by)
    return max([title, *(cell_len(row.cells[number].text) for row in listing.rows)])


def _second(natural: dict[int, int], giving: Sequence[int], widest: int) -> int:
    return max([CELL_COLUMNS_MIN, *(natural[number] for number in giving if number != widest)])


def titles(listing: Listing, fitted: dict[int, int]) -> str:
    """Return the line of titles, with a mark at the column by which the rows are sorted."""
    found: list[str] = []
    for number, width in fitted.items():
        column = listing.columns[number]
        mark = (" ▼" if listing.descending else " ▲") if number == listing.sorted_by else ""
        found.append(_placed(column.title + mark, width, right=column.right))
    return _GAP.join(found)


def row_cells(cells: Sequence[Cell], columns: Sequence[Column], fitted: dict[int, int]) -> Line:
    """Return the cells of a row, each as wide as its column, with gaps between them."""
    line: list[Cell] = []
    for number, width in fitted.items():
        text, tone = cells[number]
        if line:
            line.append(Cell(_GAP))
        line.append(Cell(_placed(text, width, right=columns[number].right), tone))
    return line


def cut(line: Line, width: int) -> Line:
    """Return the line, as wide as the screen at most; what is cut off ends with an ellipsis."""
    left, found = width, list[Cell]()
    for text, tone in line:
        if left <= 0:
            break
        found.append(Cell(text if cell_len(text) <= left else _placed(text, left, right=False), tone))
        left -= cell_len(text)
    return found


def wrapped(text: str, width: int, tone: Tone = Tone.PLAIN, indent: int = 0, first: int = 0) -> list[Line]:
    """Return a text as lines of that width, broken at blanks; they begin with so many blanks, the `first` one too."""
    lines: list[Line] = []
    current, margin = "", first
    for word in text.split(" "):
        if current and margin + cell_len(f"{current} {word}") > width:
            lines.append((Cell(" " * margin + current, tone),))
            current, margin = word, indent
        else:
            current = f"{current} {word}" if current else word
    lines.append((Cell(" " * margin + current, tone),))
    return lines


def _placed(text: str, width: int, *, right: bool) -> str:
    size = cell_len(text)
    if size > width:
        return set_cell_size(text, max(width - 1, 0)) + "…" if width else ""
    return " " * (width - size) + text if right else text + " " * (width - size)
