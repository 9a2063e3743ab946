"""Describe an exception in plain texts, within limits: its own code may raise, or return what UTF-8 cannot encode."""

import traceback
from collections.abc import Callable
from typing import cast

from ...tasks.errors import Overdue
from ..limits import TEXT_CHARS_MAX, TRACEBACK_CHARS_MAX


def details(error: BaseException) -> dict[str, str]:
    """Name, text and traceback of an exception, within limits."""
    if issubclass(type(error), Overdue):  # raised in a hook that is slow as well
        error = cast("Overdue", error).as_timeout_error()
    return {
        "name": _shown(lambda: _class_name(type(error)))[:TEXT_CHARS_MAX],
        "text": _shown(lambda: str(error))[:TEXT_CHARS_MAX],
        "traceback": _shown(lambda: "".join(traceback.format_exception(error)))[-TRACEBACK_CHARS_MAX:],
    }


def _class_name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _shown(text: Callable[[], str]) -> str:
    """Return the text, with characters that UTF-8 cannot encode replaced; an exception's own code may itself raise."""
    try:
        return str.encode(text(), "utf-8", "replace").decode()
    except BaseException:
        return "(cannot be shown)"
