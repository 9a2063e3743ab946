"""The names of the events of requests: stable strings, part of the log's format."""

from typing import Final

STARTED: Final = "request.started"
ENDED: Final = "request.ended"
SWEPT: Final = "request.swept"
REQUEST_EVENTS: Final = frozenset({STARTED, ENDED, SWEPT})
