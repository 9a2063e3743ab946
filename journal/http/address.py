"""Reads the address of a journal service, and the key to it, from a URL and the environment. The key is never shown."""

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, unquote

from ..errors import BadJournalURL
from ..url_options import CREATE, options
from .limits import KEY_CHARS_MAX

KEY_VARIABLE: Final = "JOURNEYMAN_KEY"
OPTIONS: Final = ("key", "cafile", "state", CREATE)
_HOST: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)*/?", re.ASCII)
_KEY: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)
_EXPECTED: Final = "expected http://host:port or https://host:port, with a key http://:KEY@host:port"


@dataclass(frozen=True)
class Address:
    """Where a service is, and the key to it. The repr contains no key."""

    base: str
    key: str | None = field(default=None, repr=False)
    cafile: str | None = None
    state: str | None = None

    @property
    def place(self) -> str:
        """Host and port, for messages."""
        return self.base.partition("://")[2]

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return a context that verifies certificates and host names; None without TLS."""
        if not self.base.startswith("https://"):
            return None
        try:
            return ssl.create_default_context(cafile=self.cafile)
        except (OSError, ssl.SSLError) as error:
            raise BadJournalURL(
                f"the file of certificates {self.cafile!r} cannot be used: {error.strerror or error}. Expected a PEM "
                "file that this process may read."
            ) from error


def address_from_url(shown: str, parts: SplitResult, environment: Mapping[str, str] | None = None) -> Address:
    """Return the address in a URL; `shown` is the URL without its key. `BadJournalURL` says what was expected.

    A key that the URL does not hold is taken from ``JOURNEYMAN_KEY``.
    """
    environment = os.environ if environment is None else environment
    user, _, host = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    if name or "@" in parts.path or "@" in parts.query:
        raise BadJournalURL(
            f"{_EXPECTED}; got {shown!r}, with a user's name, or an '@' behind the host. In a key write / as %2F, # as "
            f"%23, ? as %3F, @ as %40 and : as %3A, or set it in {KEY_VARIABLE}"
        )
    if "&" in f"&{parts.query}".partition("&key=")[2]:
        raise BadJournalURL(f"{shown!r}: key is the last option. In a key write & as %26")
    given = options(shown, parts, OPTIONS)
    found = _HOST.fullmatch(host)
    if found is None or not _PATH.fullmatch(parts.path) or (found["port"] and not 1 <= int(found["port"]) <= 65_535):
        raise BadJournalURL(f"{_EXPECTED}; got {shown!r}")
    if parts.scheme == "http" and given.get("cafile"):
        raise BadJournalURL(f"{shown!r}: cafile belongs to https")
    key = unquote(password) or given.get("key") or environment.get(KEY_VARIABLE) or None
    if key is not None and not (_KEY.fullmatch(key) and len(key) <= KEY_CHARS_MAX):
        raise BadJournalURL(
            f"{shown!r}: a key has at most {KEY_CHARS_MAX} characters, of ASCII and without blanks; this one has others"
        )
    base = f"{parts.scheme}://{host}{parts.path.rstrip('/')}"
    return Address(base, key, given.get("cafile"), given.get("state"))
