"""The keys of the screen: their bindings, and the help texts about them."""

from typing import Final

from textual.binding import Binding, BindingType

from .limits import LONG_STEP_SECONDS, STEP_SECONDS
from .question import Tab

# A binding with priority acts before the next key is looked at, so that what is typed ahead, or pasted, behind it goes
# where it leads; the others act once the focused part of the screen comes to them.
BINDINGS: Final[list[BindingType]] = [
    Binding("q,ctrl+c,ctrl+q", "leave", show=False),
    Binding("ctrl+z", "suspend_process", show=False),
    *(Binding(str(number), f"tab({number - 1})", show=False, priority=True) for number in range(1, len(Tab) + 1)),
    Binding("tab,right", "next_tab(1)", show=False, priority=False),
    Binding("shift+tab,left", "next_tab(-1)", show=False, priority=False),
    Binding("slash", "filter", show=False, priority=True),
    Binding("s", "sort", show=False),
    Binding("S", "turn", show=False),
    Binding("p", "pause", show=False),
    Binding("left_square_bracket", f"step({-STEP_SECONDS})", show=False),
    Binding("right_square_bracket", f"step({STEP_SECONDS})", show=False),
    Binding("left_curly_bracket", f"step({-LONG_STEP_SECONDS})", show=False),
    Binding("right_curly_bracket", f"step({LONG_STEP_SECONDS})", show=False),
    Binding("t", "go_to", show=False),
    Binding("l", "live", show=False),
    Binding("r", "requeue", show=False),
    Binding("x", "revoke", show=False),
    Binding("question_mark", "keys", show=False),
    Binding("escape", "back", show=False),
]
_KEYS: Final = """\
1-7, Tab   the tabs                       ?   these keys
/          filter: words, -word excludes  q   quit, also Ctrl+C
s  S       sort by the next column, turn the order
p          pause the screen, and go on
[  ]       a minute back, a minute on     {  }  ten minutes
t          go to a time: 14:05, 10m, 2026-11-21T14:05
l          live again
Enter      follow a task: why, and its history; Esc closes it
up down    also j k, PgUp PgDn, Home End, the mouse"""
_KEYS_OF_ACTS: Final = """
r          requeue a dead letter          x   revoke a task"""
_HINTS: Final = "? keys  / filter  s sort  p pause  [ ] past  l live  "
_HINTS_OF_ACTS: Final = "r requeue  x revoke  "


def keys(*, read_only: bool) -> str:
    """Return the list of the keys."""
    return _KEYS + ("" if read_only else _KEYS_OF_ACTS)


def hints(*, read_only: bool) -> str:
    """Return the most useful keys, in one line."""
    return _HINTS + ("" if read_only else _HINTS_OF_ACTS) + "q quit"
