"""Make the single lines around the content: the journal and the moment, the tabs, the count and the filter. Pure."""

from ..tasks.inspection.wording import age, printable, when
from .cells import Cell, Line, Listing, Tone
from .layout import cut
from .question import Frame, Question, Tab


def standing_line(url: str, frame: Frame | None, asked: Question, now: float, width: int) -> Line:
    """Return the first line: the journal's URL, and whether the screen is live, paused, or as of a moment."""
    said, tone = _standing(frame, asked, now)
    left = Cell(printable(url)[: max(width - len(said) - 2, 0)], Tone.STRONG)
    gap = max(width - len(left.text) - len(said), 1)
    return left, Cell(" " * gap), Cell(said, tone)


def _standing(frame: Frame | None, asked: Question, now: float) -> tuple[str, Tone]:
    if frame is not None and frame.read is not None:
        return f" reading the history: {frame.read:.0%} ", Tone.WARN
    if asked.moment is not None:
        return f" PAST  as of {when(asked.moment, 'seconds')}, {age(now - asked.moment)} ago ", Tone.MARK
    if asked.paused:
        return " PAUSED ", Tone.MARK
    if frame is None:
        return " opening the journal ", Tone.DIM
    if frame.trouble:
        return f" {when(frame.at, 'seconds')} ", Tone.DIM
    return f"live  {when(frame.at, 'seconds')}", Tone.GOOD


def tab_line(asked: Question, width: int) -> Line:
    """Return the line of the tabs, each with its key; the gaps are narrower on a screen of fewer than 100 columns."""
    gap = "   " if width >= 100 else "  "
    cells: list[Cell] = []
    for key, tab in enumerate(Tab, 1):
        if cells:
            cells.append(Cell(gap))
        here = tab is asked.tab
        cells += [Cell(f"{key} {tab}", Tone.MARK)] if here else [Cell(f"{key} ", Tone.DIM), Cell(tab)]
    return cut(cells, width)


def count_line(listing: Listing | None, cursor: int, asked: Question, width: int) -> Line:
    """Return the line of the count: the cursor's row, of how many, when they were selected, and the filter."""
    cells: list[Cell] = []
    if listing is not None:
        cells.append(Cell(_counted(listing, cursor), Tone.DIM))
        if listing.selected_at is not None:
            cells.append(Cell(f"  selected {when(listing.selected_at, 'seconds')[11:19]}", Tone.DIM))
    if asked.words:
        cells += [Cell("  filter: "), Cell(printable(asked.words), Tone.WARN)]
    return cut(cells, width)


def _counted(listing: Listing, cursor: int) -> str:
    if not listing.total:
        return f"none of {listing.everything:,}" if listing.everything else "none"
    shown = f"{min(cursor, listing.total - 1) + 1:,} of {listing.total:,}"
    return shown + (f" that fit, of {listing.everything:,}" if listing.everything != listing.total else "")
