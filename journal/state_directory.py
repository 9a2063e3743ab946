"""Locates the local directory for files derived from remote journals, such as task indexes.

`state=` in the URL or `JOURNEYMAN_STATE` names the directory; otherwise it is in the user's cache directory.
"""

import os
from hashlib import blake2b
from pathlib import Path
from typing import Final

STATE_VARIABLE: Final = "JOURNEYMAN_STATE"
_DIGEST_BYTES: Final = 6


def state_directory(asked: str | None = None) -> Path:
    """Return `asked`, or the directory from the environment, or `journeyman` in the user's cache directory."""
    named = asked or os.environ.get(STATE_VARIABLE)
    if named:
        return Path(named).absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "journeyman"


def index_path(asked: str | None, addresses: str, name: str, identity: bytes | None) -> str:
    """Return the path of a journal's task index and create its directory; if that fails, "" (a temporary file).

    `addresses` and `name` say where the journal is; one that was recreated has another `identity`, and so another file.
    """
    place = ",".join(sorted(addresses.split(",")))
    journal = f"{place}/{name}".encode() + (b"" if identity is None else b"\0" + identity)
    digest = blake2b(journal, digest_size=_DIGEST_BYTES).hexdigest()
    try:
        directory = state_directory(asked)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # cannot be created, or the user has no home directory
        return ""
    return str(directory / f"{name}-{digest}-index")
