"""URLs as they may be shown, logged and kept: without passwords.

The text is redacted, not what a parser makes of it: a password may hold the very characters that lead a parser astray.
Where it is not certain what is a secret, more is left out.
"""

import re
from typing import Final

_SECRET_OPTION: Final = re.compile(
    r"([?&;][^=&?;]*(?:pass|pwd|secret|token|credential)[^=&?;]*=).*", re.IGNORECASE | re.DOTALL
)

_WITHOUT_HOST: Final = ("sqlite", "memory")  # what looks like a password there is part of a name


def redacted(url: str) -> str:
    """The URL without a password before an `@` and without anything behind an option that is named like a secret."""
    scheme, separator, rest = url.partition("://")
    if not separator or ":" in scheme or "@" in scheme:  # no URL, or only part of one
        scheme, separator, rest = "", "", url
    rest = _SECRET_OPTION.sub(r"\1***", rest)
    at = rest.rfind("@") if scheme not in _WITHOUT_HOST else -1
    colon = rest.find(":", 0, max(at, 0))
    if colon >= 0:
        rest = rest[:colon] + rest[at:]
    return scheme + separator + rest
