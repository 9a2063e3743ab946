"""How things look on the screen: times, spans, ids. Colours on a terminal only."""

import sys
from datetime import datetime
from typing import Final

from rich.console import Console

_CONTROL: Final = {
    code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))
}  # what an event holds must not steer the terminal it is shown on
_PLAIN_COLUMNS: Final = 4_096
_STEPS: Final = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))


def console_for(stream_is_stderr: bool = False) -> Console:
    """A console that colours on a terminal only and never breaks a line elsewhere."""
    stream = sys.stderr if stream_is_stderr else sys.stdout
    width = None if stream.isatty() else _PLAIN_COLUMNS
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def printable(text: str) -> str:
    """`text` in one line, without anything that steers a terminal."""
    return text.translate(_CONTROL)


def when(timestamp: float) -> str:
    """A moment in local time, with milliseconds."""
    return datetime.fromtimestamp(timestamp).astimezone().strftime("%Y-%m-%d %H:%M:%S.") + f"{timestamp % 1:.6f}"[2:5]


def span(seconds: float) -> str:
    """A span in the unit a person would choose: 1.2 ms, 3.41 s, 2 min 5 s, 3 h 12 min."""
    if seconds < 0:
        return f"-{span(-seconds)}"
    if seconds < 1:
        return f"{seconds * 1_000:.1f} ms"
    if seconds < 60:
        return f"{seconds:.2f} s"
    finer, finer_name = 1.0, "s"
    for unit, name in reversed(_STEPS):
        if seconds < 60 * unit or unit == _STEPS[0][0]:
            coarse = int(seconds // unit)
            return f"{coarse} {name} {int((seconds - coarse * unit) // finer)} {finer_name}"
        finer, finer_name = unit, name
    raise AssertionError("the last unit takes every span")
