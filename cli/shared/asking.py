"""Ask for confirmation before an act that cannot be undone, and find the operator and the reason to record."""

import getpass
import os
import socket
import sys
from typing import Annotated

import typer

from .failures import BadInput

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
Reason = Annotated[
    str | None,
    typer.Option("--reason", metavar="TEXT", help="The reason, kept in the journal.", show_default=False),
]


def operator() -> str:
    """The person or account that runs the command, as user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in some containers
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def confirm(question: str) -> None:
    """Return after a yes, else raise `typer.Abort`; `BadInput` without a terminal, where `--yes` is required."""
    if not sys.stdin.isatty():
        raise BadInput(f"{question} Say --yes to do it: there is no terminal to ask on")
    if not typer.confirm(question):
        raise typer.Abort


def confirm_on_terminal(question: str) -> None:
    """Ask for confirmation on a terminal; without one, as in a script, return at once."""
    if sys.stdin.isatty():
        confirm(question)
