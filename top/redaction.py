"""Remove secrets from what is recorded of a request: keys, cookies and authorisation, in headers and in queries."""

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode

from .limits import HEADER_CHARS_MAX, HEADERS_MAX, PATH_CHARS_MAX

REDACTED: Final = "***"
_SECRET: Final = re.compile(
    r"auth|cookie|token|secret|passw|pwd|credential|session|signature|(^|[-_])(api[-_]?)?key$", re.IGNORECASE
)


def is_secret(name: str) -> bool:
    """Return whether a header, or a parameter of a query, of that name holds a secret."""
    return _SECRET.search(name) is not None


def redacted_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the first `HEADERS_MAX` headers, names in upper case, without secrets and within the limits."""
    kept: list[tuple[str, str]] = []
    for name, value in headers:
        if len(kept) == HEADERS_MAX:
            break
        kept.append((name.upper(), REDACTED if is_secret(name) else value[:HEADER_CHARS_MAX]))
    return kept


def redacted_params(query: str) -> dict[str, str]:
    """Return the parameters of a query, the last one of each name, without secrets."""
    pairs = parse_qsl(query[:PATH_CHARS_MAX], keep_blank_values=True)
    return {name: REDACTED if is_secret(name) else value for name, value in pairs}


def with_query(path: str, params: Mapping[str, str]) -> str:
    """Return a path with these parameters."""
    return f"{path}?{urlencode(params, safe='*')}" if params else path
