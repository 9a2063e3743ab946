"""Checks the path at which a protocol, such as `/topchef`, is mounted."""

import re
from collections.abc import Iterable
from typing import Final

_PATH: Final = re.compile(r"(/[A-Za-z0-9_.~-]{1,100}){1,10}", re.ASCII)


class PathTaken(ValueError):
    """The service has requests of its own at the path where a protocol is to be mounted."""


def refuse_taken(path: str, own: Iterable[str]) -> None:
    """Raise `PathTaken` if one of the service's own paths begins as `path` does."""
    first = path.split("/")[1]
    if any(each.split("/")[1:2] == [first] for each in own):
        raise PathTaken(
            f"expected a path of its own, such as /topchef; the service has requests below /{first} already"
        )


def checked_path(path: str) -> str:
    """Return a path to mount at, without a slash at its end; `ValueError` if it is none."""
    found = path.rstrip("/")
    if not _PATH.fullmatch(found):
        raise ValueError(
            f"expected a path such as /topchef, of letters, digits, `_`, `.`, `~` and `-`, or `off`; got {path!r:.100}"
        )
    return found
