"""Creates a log from a URL: `memory://`, `sqlite://`, `kafka://`, `http://`. Opens nothing; a bad URL raises."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from .errors import BadJournalURL
from .limits import PARTITIONS_MAX
from .log import Log
from .redaction import redacted
from .url_options import CREATE, options, whole_number

ENVIRONMENT_VARIABLE: Final = "JOURNEYMAN_JOURNAL"
_EXAMPLES: Final = (
    "sqlite:///shop.db (a file here), sqlite:////var/lib/shop.db, kafka://127.0.0.1:9092/topic, "
    "http://127.0.0.1:8080, memory://"
)


def log_from_url(url: str | None = None) -> Log:
    """Return the log that `url` names; None takes the URL from the environment variable `JOURNEYMAN_JOURNAL`."""
    url = _given(url)
    parts = _split(url)
    opener = _OPENERS.get(parts.scheme)
    if opener is None:
        close = get_close_matches(parts.scheme, _OPENERS, n=1)
        hint = f" Did you mean {close[0]}://?" if close else ""
        raise BadJournalURL(f"expected a journal's URL such as {_EXAMPLES}; got {redacted(url)!r}.{hint}")
    return opener(url, parts)


def asked_to_create(url: str | None = None) -> bool | None:
    """Return the option `create` of a URL: True for `create=1` (create a missing journal), False for `create=0`.

    None without the option; `url` as in `log_from_url`, which refuses any other value.
    """
    option = dict(parse_qsl(_split(_given(url)).query)).get(CREATE)
    return None if option is None else option == "1"


def anchored(url: str | None = None) -> str:
    """Return a URL that names the same journal from any directory and in any process; `url` as in `log_from_url`.

    It may hold a password.
    """
    url = _given(url)
    parts = _split(url)
    path = Path(unquote(parts.path[1:]))
    if parts.scheme != "sqlite" or parts.netloc or path.is_absolute() or path == Path():
        return url
    return f"sqlite:///{quote(str(path.absolute()))}" + (f"?{parts.query}" if parts.query else "")


def _given(url: str | None) -> str:
    url = url if url is not None else os.environ.get(ENVIRONMENT_VARIABLE)
    if not url:
        raise BadJournalURL(f"no journal given: pass its URL or set {ENVIRONMENT_VARIABLE}, for example {_EXAMPLES}")
    return url


def _split(url: str) -> SplitResult:
    """Split a URL. A `#` has no special meaning; characters that a parser would drop raise `BadJournalURL`."""
    if any(not character.isprintable() for character in url):
        raise BadJournalURL(
            f"expected a journal's URL such as {_EXAMPLES}; got {redacted(url)!r}, with characters that cannot be "
            "printed. Write them percent-encoded"
        )
    try:
        return urlsplit(url, allow_fragments=False)
    except ValueError:  # its message would contain the URL, and so a password
        raise BadJournalURL(
            f"expected a journal's URL such as {_EXAMPLES}; got {redacted(url)!r}, whose host cannot be read. Write "
            "[ and ] as %5B and %5D, and other unusual characters percent-encoded"
        ) from None


def shown(url: str) -> str:
    """The URL, fit to be shown: without a password."""
    return redacted(url)


def _open_memory(url: str, parts: SplitResult) -> Log:
    from .memory.log import MemoryLog, shared_store

    given = options(url, parts, ("partitions",))
    partitions = whole_number(url, "partitions", given.get("partitions", "1"), PARTITIONS_MAX)
    return MemoryLog(shared_store(parts.netloc + parts.path, partitions), url=url)


def _open_sqlite(url: str, parts: SplitResult) -> Log:
    from .sqlite.log import SqliteLog

    given = options(url, parts, ("sync", CREATE))
    path = unquote(parts.path[1:])
    if parts.netloc or not path:
        raise BadJournalURL(
            f"expected sqlite:///relative.db or sqlite:////absolute/path.db (three or four slashes), got {url!r}"
        )
    if given.get("sync", "full") not in ("full", "normal"):
        raise BadJournalURL(
            f"{url!r}: sync is 'full' (every append survives a power cut, the default) or 'normal' (the last appends "
            f"before a power cut may be lost), got {given['sync']!r}"
        )
    return SqliteLog(path, synchronous="normal" if given.get("sync") == "normal" else "full", url=url)


def _open_kafka(url: str, parts: SplitResult) -> Log:
    with _needing(url, "the Kafka client", "kafka"):
        from .kafka.url import kafka_log_from_url
    return kafka_log_from_url(url, parts)


def _open_http(url: str, parts: SplitResult) -> Log:
    with _needing(url, "the HTTP client", "http"):
        from .http.url import http_log_from_url
    return http_log_from_url(url, parts)


@contextmanager
def _needing(url: str, client: str, extra: str) -> Iterator[None]:
    """Turn a missing module of an optional library into an error that says how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == __name__.partition(".")[0]:
            raise  # a defect of this package, which no installation repairs
        raise BadJournalURL(
            f"{redacted(url)!r} needs {client}, which is not installed ({error.name}): "
            f"pip install 'journeyman[{extra}]'"
        ) from error


_OPENERS: Final[dict[str, Callable[[str, SplitResult], Log]]] = {
    "sqlite": _open_sqlite,
    "kafka": _open_kafka,
    "http": _open_http,
    "https": _open_http,
    "memory": _open_memory,
}
