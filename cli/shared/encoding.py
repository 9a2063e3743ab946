"""Output in any character encoding: what it cannot hold is written in plain characters, and ends no command."""

import codecs
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_ERRORS: Final = "journeyman-plain"

# One character for one, so that tables stay aligned; short ids are understood with a dot in front, too.
_PLAIN: Final = {
    "…": ".",
    "•": "*",
    "×": "x",
    "→": ">",
    "—": "-",
    "━": "-",
    "─": "-",
    "│": "|",
    "╭": "+",
    "╮": "+",
    "╰": "+",
    "╯": "+",
    "╸": "-",
    "╺": "-",
}


def _plain(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that an encoding lacks: plain ones of their kind, or their numbers as in Python."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_PLAIN.get(each) or each.encode("ascii", "backslashreplace").decode() for each in lost), error.end


def typed(arguments: Sequence[str]) -> list[str]:
    """The arguments as text: where the locale has left bytes as they were, what these are as UTF-8.

    The name of a file that is there stays as the system has it.
    """
    return [each if each.isascii() or Path(each).exists() else _as_utf_8(each) for each in arguments]


def _as_utf_8(argument: str) -> str:
    try:
        argument.encode()
    except UnicodeEncodeError:
        try:
            return os.fsencode(argument).decode()
        except UnicodeError:
            return argument
    return argument


def write_anything() -> None:
    """Let stdout and stderr take any text, whatever encoding the environment gives them."""
    codecs.register_error(_ERRORS, _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)
