"""Write the access log to a file or to stdout: one JSON object a line."""

import logging
import logging.handlers
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ...journal.errors import JournalUnavailable
from .observer import ACCESS_LOG

STDOUT: Final = "-"


class AccessLogUnavailable(JournalUnavailable):
    """The file of the access log cannot be opened: the operator names another."""


@contextmanager
def access_log(target: str | None) -> Iterator[None]:
    """Write the access log to `target`, inside the `with` block: a file, `-` for stdout, or None for nothing.

    A file is opened anew when it has been renamed or removed, as a rotation of logs does. `AccessLogUnavailable` if it
    cannot be opened.
    """
    if target is None:
        yield
        return
    handler = _handler(target)
    handler.setFormatter(logging.Formatter("%(message)s"))
    ACCESS_LOG.addHandler(handler)
    ACCESS_LOG.setLevel(logging.INFO)
    try:
        yield
    finally:
        ACCESS_LOG.removeHandler(handler)
        handler.close()


def _handler(target: str) -> logging.Handler:
    if target == STDOUT:
        return logging.StreamHandler(sys.stdout)
    try:
        return logging.handlers.WatchedFileHandler(target, encoding="utf-8")
    except OSError as error:
        raise AccessLogUnavailable(
            f"the access log {target} cannot be opened: {error.strerror or error}. Name another file, or - for stdout"
        ) from None
