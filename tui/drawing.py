"""Widgets that draw cells line by line: one line, a page of lines, and a listing that holds only what is seen of it."""

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from .cells import Cell, Line, Listing, Row, Tone
from .layout import cut, row_cells, titles, widths
from .limits import ROWS_AHEAD

_STYLES: Final = {tone: Style.parse(tone.value or "none") for tone in Tone}
_CURSOR: Final = Style(reverse=True, bold=False)


def strip_of(line: Line, width: int, base: Style, extra: Style | None = None) -> Strip:
    """Return the line as the library draws it, filled up to the width."""
    styles = (base, extra) if extra is not None else (base,)
    filler = Style.combine(styles)
    segments = [Segment(text, Style.combine((base, _STYLES[tone], *styles[1:]))) for text, tone in line if text]
    return Strip(segments).adjust_cell_length(width, filler)


class OneLine(Widget):
    """One line, drawn again only when it changes."""

    DEFAULT_CSS: ClassVar[str] = "OneLine { height: 1; width: 1fr; }"

    def __init__(self, id: str) -> None:  # noqa: A002  # the library's name of it
        super().__init__(id=id)
        self._line: Line = ()

    @property
    def text(self) -> str:
        """The text of the line."""
        return "".join(each.text for each in self._line)

    def show(self, line: Line) -> None:
        """Show this line."""
        if tuple(line) != tuple(self._line):
            self._line = line
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw it."""
        return strip_of(self._line if y == 0 else (), self.size.width, self.rich_style)


class Page(ScrollView, can_focus=True):
    """Lines of text that scroll."""

    DEFAULT_CSS: ClassVar[str] = "Page { height: 1fr; width: 1fr; overflow-x: hidden; overflow-y: auto; }"

    class Resized(Message):
        """The page has another size, so its lines are to be laid out anew."""

    def __init__(self, id: str) -> None:  # noqa: A002  # the library's name of it
        super().__init__(id=id)
        self._lines: Sequence[Line] = ()

    def on_resize(self, _event: Resize) -> None:
        """Say so."""
        self.post_message(self.Resized())

    def show(self, lines: Sequence[Line]) -> None:
        """Show these lines; the place to which the page is scrolled stays."""
        if list(map(tuple, lines)) == list(map(tuple, self._lines)):
            return
        self._lines = lines
        self.virtual_size = Size(self.scrollable_content_region.width, len(lines))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw one line."""
        number = y + self.scroll_offset.y
        line = self._lines[number] if number < len(self._lines) else ()
        return strip_of(line, self.scrollable_content_region.width, self.rich_style)


class ListingView(ScrollView, can_focus=True):
    """A listing with a cursor. `Wanted` says which rows are seen, so that only those are fetched."""

    DEFAULT_CSS: ClassVar[str] = "ListingView { height: 1fr; width: 1fr; overflow-x: hidden; overflow-y: auto; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown,space", "page(1)", show=False),
        Binding("home,g", "first", show=False),
        Binding("end,G", "last", show=False),
        Binding("enter", "open", show=False),
    ]

    class Wanted(Message):
        """Other rows are seen."""

    class Moved(Message):
        """The cursor is at another row."""

    class Opened(Message):
        """A row was chosen."""

    def __init__(self, id: str) -> None:  # noqa: A002  # the library's name of it
        super().__init__(id=id)
        self._listing: Listing | None = None
        self._fitted: dict[int, int] = {}
        self.cursor = 0  # the number of its row
        self._key = ""

    # -- what is shown -----------------------------------------------------------------------------------------------

    def show(self, listing: Listing) -> None:
        """Show a listing; the cursor stays at its row as long as that is near."""
        rows = [row.key for row in listing.rows]
        if self._key and self._key in rows:
            moved = listing.first + rows.index(self._key) - self.cursor
            self.cursor += moved
        self.cursor = max(0, min(self.cursor, listing.total - 1))
        self._listing = listing
        self._fitted = widths(listing, self.columns)
        self.virtual_size = Size(self.columns, listing.total)
        self._remember()
        self.refresh()

    def forget(self) -> None:
        """Show nothing, and begin at the first row with the next listing."""
        self._listing, self.cursor, self._key = None, 0, ""
        self.virtual_size = Size(self.columns, 0)
        self.scroll_to(y=0, animate=False)
        self.refresh()

    @property
    def columns(self) -> int:
        """The width beside the scrollbar."""
        return self.scrollable_content_region.width

    def titles(self) -> str:
        """Return the line of titles."""
        return titles(self._listing, self._fitted) if self._listing is not None else ""

    def seen(self) -> tuple[int, int]:
        """Return the number of the first row to fetch, and how many: those that are seen, and some on either side."""
        height = max(self.size.height, 1)
        first = max(0, min(self.scroll_offset.y, self.cursor) if self._listing is None else self.scroll_offset.y)
        return max(0, first - ROWS_AHEAD), height + 2 * ROWS_AHEAD

    @property
    def chosen(self) -> Row | None:
        """The row at the cursor; None if it is not there yet."""
        return self._row(self.cursor)

    def render_line(self, y: int) -> Strip:
        """Draw one row."""
        number, listing = y + self.scroll_offset.y, self._listing
        if listing is None or number >= listing.total:
            return strip_of((), self.columns, self.rich_style)
        row = self._row(number)
        line: Line = (Cell("…", Tone.DIM),) if row is None else row_cells(row.cells, listing.columns, self._fitted)
        extra = _CURSOR if number == self.cursor and self.has_focus else None
        return strip_of(cut(line, self.columns), self.columns, self.rich_style, extra)

    def _row(self, number: int) -> Row | None:
        listing = self._listing
        if listing is None or not listing.first <= number < listing.first + len(listing.rows):
            return None
        return listing.rows[number - listing.first]

    # -- the cursor --------------------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        """Move the cursor by so many rows."""
        self._go_to(self.cursor + by)

    def action_page(self, by: int) -> None:
        """Move the cursor by so many screens."""
        self._go_to(self.cursor + by * max(self.size.height - 1, 1))

    def action_first(self) -> None:
        """Move the cursor to the first row."""
        self._go_to(0)

    def action_last(self) -> None:
        """Move the cursor to the last row."""
        self._go_to(self._listing.total if self._listing is not None else 0)

    def action_open(self) -> None:
        """Open the row at the cursor."""
        self.post_message(self.Opened())

    def _go_to(self, number: int) -> None:
        if self._listing is None:
            return
        self.cursor = max(0, min(number, self._listing.total - 1))
        self._remember()
        self.scroll_to_region(Region(0, self.cursor, 1, 1), animate=False, force=True)
        self.refresh()
        self.post_message(self.Wanted())
        self.post_message(self.Moved())

    def _remember(self) -> None:
        row = self._row(self.cursor)
        self._key = row.key if row is not None else ""

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Fetch the rows that have come into view."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self.post_message(self.Wanted())

    def on_resize(self, _event: Resize) -> None:
        """Lay the rows out anew, and fetch those that have come into view."""
        if self._listing is not None:
            self._fitted = widths(self._listing, self.columns)
        self.post_message(self.Wanted())

    def on_click(self, event: Click) -> None:
        """Move the cursor to the row; a second click opens it."""
        self._go_to(event.y + self.scroll_offset.y)
        if event.chain > 1:
            self.post_message(self.Opened())
