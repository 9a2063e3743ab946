"""Output for people: times, spans, ids, tables. Colours on a terminal only."""

import sys

from rich.console import Console, RenderableType

from ...tasks.inspection.wording import printable, span, when
from ..limits import PLAIN_COLUMNS

__all__ = ["console_for", "printable", "show", "span", "when"]


def console_for(stream_is_stderr: bool = False) -> Console:
    """A console that colours on a terminal only and never breaks a line elsewhere."""
    stream = sys.stderr if stream_is_stderr else sys.stdout
    width = None if stream.isatty() else PLAIN_COLUMNS
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def show(console: Console, *parts: RenderableType) -> None:
    """Print tables and lines; where it is no terminal without the blanks that fill up a table's last column."""
    if console.is_terminal:
        console.print(*parts, sep="\n")
        return
    with console.capture() as captured:
        console.print(*parts, sep="\n")
    console.file.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())
