"""Output in any character encoding: characters that it lacks are replaced by plain ones, without an error."""

import codecs
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_ERRORS: Final = "journeyman-plain"

# One character for one, so that tables stay aligned; commands accept short ids with a dot in front, too.
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
    """Replace characters that an encoding lacks: by plain ones of their kind, or by Python's escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_PLAIN.get(each) or each.encode("ascii", "backslashreplace").decode() for each in lost), error.end


def typed(arguments: Sequence[str]) -> list[str]:
    """The arguments as text: bytes that the locale could not decode are decoded as UTF-8.

    The name of an existing file stays as the system has it.
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


def file_name(name: str) -> str:
    """Return the name of a file as the system has it: in UTF-8 where the locale's encoding lacks a character."""
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return os.fsdecode(name.encode())
    return name


def shown_name(name: str) -> str:
    """Return the name of a file as text: its bytes in UTF-8, others as escapes, so that JSON can hold it."""
    return os.fsencode(file_name(name)).decode(errors="backslashreplace")


def write_anything() -> None:
    """Let stdout and stderr take any text, whatever encoding the environment gives them."""
    codecs.register_error(_ERRORS, _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)
