"""The URL of a log behind a journal service: ``http://:KEY@host:port`` or ``https://…``."""

from urllib.parse import SplitResult

from ..redaction import redacted
from .address import address_from_url
from .log import HttpLog


def http_log_from_url(url: str, parts: SplitResult) -> HttpLog:
    """Return the log of ``http[s]://[:KEY@]host[:port][/path][?key=…&cafile=…&state=…]``."""
    shown = redacted(url)
    return HttpLog(address_from_url(shown, parts), url=shown)
