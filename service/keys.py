"""The keys of callers: read from a file or the environment, compared in constant time, never shown.

A line of the file is a name, the scopes, the key, and perhaps limits: `shop read,submit 3a93… requests=100`. Instead of
the key it may hold its digest, `sha256:…`, so that the file contains no secret. The file is read again when it changes,
so that keys can be rotated while the service runs.
"""

import enum
import hashlib
import hmac
import logging
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from .limits import (
    KEY_BYTES_PER_SECOND,
    KEY_CHARACTERS_MAX,
    KEY_CHARACTERS_MIN,
    KEY_REQUESTS_PER_SECOND,
    KEY_STREAMS_MAX,
    KEYS_MAX,
    KEYS_RELOAD_SECONDS,
)

ENVIRONMENT_VARIABLE: Final = "JOURNEYMAN_KEYS"
_DIGEST: Final = re.compile(r"sha256:([0-9a-fA-F]{64})", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_LIMIT: Final = re.compile(r"(requests|streams|bytes)=([1-9][0-9]{0,14})", re.ASCII)
_EXPECTED: Final = "expected NAME SCOPES KEY, such as `shop read,submit 3a93…`, and perhaps limits, `requests=100`"

logger = logging.getLogger(__name__)


class Scope(enum.StrEnum):
    """What a key permits: each scope its own requests, and `admin` all of them."""

    READ = "read"
    SUBMIT = "submit"
    WORK = "work"
    ADMIN = "admin"


class Allowance(NamedTuple):
    """What a key may use: requests and bytes a second, bodies and answers together, and requests in progress."""

    requests: float = KEY_REQUESTS_PER_SECOND
    streams: int = KEY_STREAMS_MAX
    bytes: float = KEY_BYTES_PER_SECOND


class Caller(NamedTuple):
    """The owner of a key, as logs and limits name it, its scopes, and what it may use; None for no limits."""

    name: str
    scopes: frozenset[Scope]
    allowed: Allowance | None = None

    def may(self, scope: Scope) -> bool:
        """Whether requests of that scope are permitted."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


# The caller of a service without keys: it listens on loopback only.
LOCAL: Final = Caller("local", frozenset(Scope))


class BadKeys(ValueError):
    """The keys cannot be read; the message names the line, never the key."""


class Keyring:
    """The keys of a service; without any, each caller is `LOCAL`."""

    def __init__(self, lines: Iterable[str] = (), file: Path | None = None) -> None:
        self._fixed = _read(lines, ENVIRONMENT_VARIABLE)
        self._file = file
        self._of_file: Sequence[tuple[bytes, Caller]] = ()
        self._seen: tuple[int, int, int] | None = None
        self._look_again_at = 0.0
        if file is not None:
            self._load(file)

    @property
    def is_open(self) -> bool:
        """Whether requests need no key: neither a file nor the environment names one."""
        return self._file is None and not self._fixed

    def caller(self, key: str) -> Caller | None:
        """Return the owner of a key; None if it is unknown. All keys are compared, each in constant time."""
        self._look_for_change()
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
        found = None
        for known, caller in (*self._fixed, *self._of_file):
            if hmac.compare_digest(known, digest):
                found = caller
        return found

    def _look_for_change(self) -> None:
        if self._file is None or time.monotonic() < self._look_again_at:
            return
        try:
            self._load(self._file)
        except BadKeys as error:
            logger.warning("the keys in use stay as they are: %s", error)

    def _load(self, file: Path) -> None:
        """Read the file if it has changed; `BadKeys` leaves the keys as they are."""
        self._look_again_at = time.monotonic() + KEYS_RELOAD_SECONDS
        try:
            status = file.stat()
            seen = (status.st_ino, status.st_mtime_ns, status.st_size)
            if seen == self._seen:
                return
            lines = file.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise BadKeys(f"the file of the keys, {file}, cannot be read: {type(error).__name__}") from None
        self._seen = seen  # before a refusal too, so that one is reported once
        self._of_file = _read(lines, str(file))


def _read(lines: Iterable[str], source: str) -> Sequence[tuple[bytes, Caller]]:
    found: dict[bytes, Caller] = {}
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        digest, caller = _entry(words, f"{source}, line {number}")
        if digest in found:
            raise BadKeys(f"{source}, line {number}: the key stands on an earlier line, too")
        found[digest] = caller
    if len(found) > KEYS_MAX:
        raise BadKeys(f"{source} holds {len(found):,} keys; at most {KEYS_MAX:,} are allowed")
    return tuple(found.items())


def _entry(words: Sequence[str], place: str) -> tuple[bytes, Caller]:
    if len(words) < 3:
        raise BadKeys(f"{place}: {_EXPECTED}, got {len(words)} words")
    name, scopes, key, *limits = words
    if not _NAME.fullmatch(name):
        raise BadKeys(f"{place}: a name has 1 to 64 letters, digits, `_`, `.` or `-`")
    try:
        caller = Caller(name, frozenset(Scope(each) for each in scopes.split(",")), _allowance(limits, place))
    except BadKeys:
        raise
    except ValueError:
        raise BadKeys(f"{place}: the scopes are {', '.join(Scope)}, separated by commas") from None
    if digest := _DIGEST.fullmatch(key):
        return bytes.fromhex(digest[1]), caller
    if not KEY_CHARACTERS_MIN <= len(key) <= KEY_CHARACTERS_MAX:
        raise BadKeys(
            f"{place}: a key has {KEY_CHARACTERS_MIN} to {KEY_CHARACTERS_MAX} characters, this one has {len(key)}; "
            'make one with `python3 -c "import secrets; print(secrets.token_urlsafe(32))"`'
        )
    return hashlib.sha256(key.encode()).digest(), caller


def _allowance(words: Iterable[str], place: str) -> Allowance:
    given: dict[str, int] = {}
    for word in words:
        limit = _LIMIT.fullmatch(word)
        if limit is None:
            raise BadKeys(f"{place}: behind the key stand limits, requests=N, streams=N or bytes=N, N from 1 up")
        given[limit[1]] = int(limit[2])
    return Allowance(**given)
