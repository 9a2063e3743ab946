"""Tables on the screen: without borders, and fitted to its width by cutting the columns that matter least first."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from ..limits import CELL_COLUMNS_MIN

_GAP: Final = 2


class FittedTable:
    """A table of columns (name, alignment), as wide as its cells.

    On a screen that is too narrow the last `give_way` columns are cut or left out, and then the widest of the others.
    """

    def __init__(
        self, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[Text]], *, give_way: int = 0
    ) -> None:
        self._columns = columns
        self._rows = rows
        self._give_way = give_way

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay the table out for the width that there is."""
        made = Table(box=None, padding=(0, _GAP, 0, 0), header_style="dim", pad_edge=False)
        shown = [
            (index, width)
            for index, width in enumerate(fitted(self._widths(), options.max_width, self._give_way))
            if width
        ]
        for index, width in shown:
            name, justify = self._columns[index]
            made.add_column(name, justify=justify, no_wrap=True, width=width)  # type: ignore[arg-type]
        for row in self._rows:
            made.add_row(*(row[index] for index, _ in shown))
        yield made

    def _widths(self) -> list[int]:
        return [
            max([len(name), *(row[index].cell_len for row in self._rows)])
            for index, (name, _) in enumerate(self._columns)
        ]


def fitted(widths: Sequence[int], screen: int, give_way: int) -> list[int]:
    """The widths of columns on a screen: the last `give_way` give way, 0 for those left out, then the widest."""
    made = list(widths)
    firm = len(made) - give_way
    room = screen - sum(made[:firm]) - _GAP * (firm - 1)
    for index in range(firm, len(made)):
        room -= _GAP
        left = len(made) - index
        made[index] = min(made[index], max(room - (left - 1) * (CELL_COLUMNS_MIN + _GAP), room // left))
        if made[index] < min(widths[index], CELL_COLUMNS_MIN):
            made[index:] = [0] * left
            break
        room -= made[index]
    over = sum(made) + _GAP * (sum(map(bool, made)) - 1) - screen
    if over > 0:
        widest = made.index(max(made))
        made[widest] = min(made[widest], max(CELL_COLUMNS_MIN, made[widest] - over))
    return made
