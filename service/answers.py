"""Answers that say up to which position of the log they speak."""

from typing import Final, TypeVar

from litestar import Response

from ..journal.cursor import Cursor

T = TypeVar("T")

CURSOR_HEADER: Final = "Journal-Cursor"


def spoken(content: T, cursor: Cursor, status: int = 200) -> Response[T]:
    """Return an answer that is true of the events before `cursor`, with the cursor in a header."""
    return Response(content, status_code=status, headers={CURSOR_HEADER: str(cursor)})
