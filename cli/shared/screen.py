"""Print for people: times, spans, tables. Colours on a terminal only."""

import sys

from rich.console import Console, RenderableType

from ...tasks.inspection.wording import printable, span, when
from ..limits import PLAIN_COLUMNS

__all__ = ["console_for", "printable", "show", "span", "when"]


def console_for(stream_is_stderr: bool = False) -> Console:
    """Return a console with colours on a terminal; elsewhere without, and so wide that it breaks no line."""
    stream = sys.stderr if stream_is_stderr else sys.stdout
    width = None if stream.isatty() else PLAIN_COLUMNS
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def show(console: Console, *parts: RenderableType) -> None:
    """Print tables and lines; if the output is no terminal, without the blanks at the ends of lines."""
    if console.is_terminal:
        console.print(*parts, sep="\n")
        return
    with console.capture() as captured:
        console.print(*parts, sep="\n")
    console.file.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())
