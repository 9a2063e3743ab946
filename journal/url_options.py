"""The options in the query of a journal's URL."""

from difflib import get_close_matches
from typing import Final
from urllib.parse import SplitResult, parse_qsl

from .errors import BadJournalURL
from .numbers import is_number
from .redaction import redacted

CREATE: Final = "create"


def options(url: str, parts: SplitResult, known: tuple[str, ...]) -> dict[str, str]:
    """Return the query's options by name; `BadJournalURL` for one that is not `known`, with a suggestion."""
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in given:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise BadJournalURL(
                f"{redacted(url)!r}: unknown option {name!r}; known are {', '.join(known) or 'none'}.{hint}"
            )
    if given.get(CREATE) not in (None, "0", "1"):
        raise BadJournalURL(
            f"{redacted(url)!r}: create is 1 (make the journal if it is not there) or 0 (never make one), "
            f"got {given[CREATE]!r}"
        )
    return given


def whole_number(url: str, name: str, text: str, highest: int) -> int:
    """Return an option's value as a whole number from 1 to `highest`; `BadJournalURL` if it is not one."""
    if not is_number(text) or not 1 <= int(text) <= highest:
        raise BadJournalURL(f"{url!r}: {name} must be a whole number from 1 to {highest:,}, got {text!r}")
    return int(text)
