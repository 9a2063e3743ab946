"""Adds to an answer the position of the log up to which it is valid."""

from typing import Any, Final, TypeVar

from litestar import Response

from ..journal.cursor import Cursor
from .problems import Problem

T = TypeVar("T")

CURSOR_HEADER: Final = "Journal-Cursor"


def spoken(content: T, cursor: Cursor, status: int = 200) -> Response[T]:
    """Return an answer about the events before `cursor`, with that cursor in the header `Journal-Cursor`."""
    return Response(content, status_code=status, headers={CURSOR_HEADER: str(cursor)})


def problem_at(cursor: Cursor, status: int, kind: str, detail: str, **more: Any) -> Problem:
    """Return a problem that is one because of the events before `cursor`, with that cursor in the same header."""
    problem = Problem(status, kind, detail, **more)
    problem.headers[CURSOR_HEADER] = str(cursor)
    return problem
