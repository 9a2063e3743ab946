"""The path at which a protocol is mounted."""

import re
from typing import Final

_PATH: Final = re.compile(r"(/[A-Za-z0-9_.~-]{1,100}){1,10}", re.ASCII)


def checked_path(path: str) -> str:
    """Return a path to mount at, without a slash at its end; `ValueError` if it is none."""
    found = path.rstrip("/")
    if not _PATH.fullmatch(found):
        raise ValueError(
            f"expected a path such as /topchef, of letters, digits, `_`, `.`, `~` and `-`, or `off`; got {path!r:.100}"
        )
    return found
