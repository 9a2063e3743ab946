"""Locate the directory for data a host derives from topics: `state=`, `JOURNEYMAN_STATE`, or the user's cache."""

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


def index_path(asked: str | None, addresses: str, topic: str, topic_id: bytes | None) -> str:
    """Return the path of a topic's task index and create its directory; if that fails, "" (a temporary file).

    A recreated topic has another id, and so another file.
    """
    cluster = ",".join(sorted(addresses.split(",")))
    identity = f"{cluster}/{topic}".encode() + (b"" if topic_id is None else b"\0" + topic_id)
    digest = blake2b(identity, digest_size=_DIGEST_BYTES).hexdigest()
    try:
        directory = state_directory(asked)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # cannot be created, or the user has no home directory
        return ""
    return str(directory / f"{topic}-{digest}-index")
