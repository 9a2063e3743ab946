"""Report an error as one sentence on stderr and an exit status; with a traceback at log level DEBUG."""

import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from typing import Any, Final, Protocol, runtime_checkable

import typer

from ...journal.errors import BadJournalURL, InvalidEvent, JournalError, JournalNotFound
from ...tasks.errors import MultipleBrokersError, NoTasksFoundError, TaskError, TaskNameCollisionError, ValidationError
from ...tasks.inspection.wording import printable

EXIT_ENVIRONMENT: Final = 1
EXIT_USAGE: Final = 2
EXIT_ALARM: Final = 3  # `status --check` has found something
EXIT_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells say it
EXIT_CLOSED_PIPE: Final = 141  # 128 + SIGPIPE


class BadInput(Exception):
    """An invalid argument or option; the message says what was expected."""


# Usage errors, which another command line avoids; all others are errors of the environment.
_USAGE: Final = (
    BadInput,
    BadJournalURL,
    InvalidEvent,
    JournalNotFound,
    MultipleBrokersError,
    NoTasksFoundError,
    TaskNameCollisionError,
    ValidationError,
)


@runtime_checkable
class _ParserError(Protocol):
    """An error of the argument parser, whichever version of it: it formats its message and knows its exit status."""

    exit_code: int

    def format_message(self) -> str:
        """The sentence."""
        ...


def report(error: Exception) -> int:
    """Report `error` on stderr and return the exit status."""
    if logging.getLogger("journeyman").isEnabledFor(logging.DEBUG):
        traceback.print_exception(error)
    if isinstance(error, _ParserError):
        command = getattr(getattr(error, "ctx", None), "command_path", "journeyman")
        print_problem(f"{_with_value(error)} See '{command} --help'.")
        return error.exit_code
    if isinstance(error, (*_USAGE, JournalError, TaskError)):
        print_problem(str(error))
        return EXIT_USAGE if isinstance(error, _USAGE) else EXIT_ENVIRONMENT
    if isinstance(error, typer.Abort):
        return EXIT_INTERRUPTED
    print_problem(
        f"unexpected {type(error).__name__}: {error}. Run it again with --log-level DEBUG to see where it came from."
    )
    return EXIT_ENVIRONMENT


def _with_value(error: _ParserError) -> str:
    """Return the sentence of an error of the parser, with the value that it refused if it knows that one."""
    said = error.format_message() or "Missing command"
    cause: Any = getattr(error, "__cause__", None)
    refused = [each.get("input") for each in cause.errors()] if hasattr(cause, "errors") else []
    if refused and repr(refused[0]) not in said:
        said = f"{said.rstrip('.')}; got {refused[0]!r:.80}"
    return said if said.endswith((".", "?", "!")) else f"{said}."


def print_problem(sentence: str) -> None:
    """Print an error on stderr, in one line."""
    flush()
    print(f"journeyman: {printable(' '.join(sentence.split()))}", file=sys.stderr)


@contextlib.contextmanager
def quiet_on_broken_pipe() -> Iterator[None]:
    """End quietly when the other end of stdout is closed, as `| head` does; nothing more is written there."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _silence()
        raise typer.Exit(EXIT_CLOSED_PIPE) from None


def print_line(line: str) -> None:
    """Print a line on stdout; a closed or failing stdout is no error."""
    try:
        print(line, flush=True)
    except OSError:
        _silence()


def flush() -> None:
    """Flush stdout, where there is one and it can be written."""
    try:
        if sys.stdout is not None:  # as it is where a process was started without one
            sys.stdout.flush()
    except OSError:
        _silence()


def _silence() -> None:
    """Redirect stdout to the null device; the interpreter's own flush at exit must not fail either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
