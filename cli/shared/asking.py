"""Before something is done that cannot be undone: a question; and who does it, for those who ask later."""

import getpass
import os
import socket
import sys
from typing import Annotated

import typer

from .failures import BadInput

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before what cannot be undone.")]
Reason = Annotated[
    str | None,
    typer.Option("--reason", metavar="TEXT", help="Why, for later: it is kept in the journal.", show_default=False),
]


def operator() -> str:
    """The person or account that runs the command, as user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in some containers
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def confirm(question: str) -> None:
    """Go on after a yes; without a terminal to ask on, `--yes` has to be given."""
    if not sys.stdin.isatty():
        raise BadInput(f"{question} Say --yes to do it: there is no terminal to ask on")
    if not typer.confirm(question):
        raise typer.Abort


def confirm_on_terminal(question: str) -> None:
    """Go on after a yes on a terminal; a script that has none has said what it wants already."""
    if sys.stdin.isatty():
        confirm(question)
