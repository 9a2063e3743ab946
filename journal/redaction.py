"""Removes passwords from URLs, so that they can be shown, logged and stored.

It redacts the text, not the parts that a parser returns: a password may contain the very characters that mislead a
parser. In doubtful cases it removes more than the secret.
"""

import re
from typing import Final

_SECRET_OPTION: Final = re.compile(
    r"([?&;](?:key|[^=&?;]*(?:pass|pwd|secret|token|credential)[^=&?;]*)=).*", re.IGNORECASE | re.DOTALL
)

_WITHOUT_HOST: Final = ("sqlite", "memory")  # an apparent password there is part of a name


def redacted(url: str) -> str:
    """Return the URL without a password before an `@`, and without the rest behind an option named like a secret."""
    scheme, separator, rest = url.partition("://")
    if not separator or ":" in scheme or "@" in scheme:  # no URL, or only part of one
        scheme, separator, rest = "", "", url
    rest = _SECRET_OPTION.sub(r"\1***", rest)
    at = rest.rfind("@") if scheme not in _WITHOUT_HOST else -1
    colon = rest.find(":", 0, max(at, 0))
    if colon >= 0:
        rest = rest[:colon] + rest[at if colon else at + 1 :]
    return scheme + separator + rest
